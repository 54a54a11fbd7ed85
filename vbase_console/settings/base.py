"""Settings of every size. The modules embedded, distributed and test add the rest."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from whitenoise.compress import Compressor

from backups.names import MAX_COLLECTIONS
from vbase_console.settings.env import (
    env_choice,
    env_file,
    env_float,
    env_int,
    env_list,
    env_path,
    env_store_url,
    env_str,
    require_both,
)

BASE_DIR = Path(__file__).resolve().parent.parent.parent
DATA_DIR = env_path("VBASE_DATA_DIR", BASE_DIR / "var")

HOST = env_str("VBASE_HOST", "127.0.0.1")
PORT = env_int("VBASE_PORT", 8000, least=1, most=65535)
GRPC_HOST = env_str("VBASE_GRPC_HOST", HOST)
GRPC_PORT = env_int("VBASE_GRPC_PORT", PORT + 1, least=1, most=65535)
GRPC_TRUSTED_PROXIES = env_int("VBASE_GRPC_TRUSTED_PROXIES", 0, least=0, most=10)
GRPC_TLS_CERT = env_file("VBASE_GRPC_TLS_CERT")
GRPC_TLS_KEY = env_file("VBASE_GRPC_TLS_KEY")
require_both({"VBASE_GRPC_TLS_CERT": GRPC_TLS_CERT, "VBASE_GRPC_TLS_KEY": GRPC_TLS_KEY})
ALLOWED_HOSTS = env_list("VBASE_ALLOWED_HOSTS", ["127.0.0.1", "localhost", "[::1]", HOST])
CSRF_TRUSTED_ORIGINS = env_list("VBASE_TRUSTED_ORIGINS", [])
TRUSTED_PROXIES = env_int("VBASE_TRUSTED_PROXIES", 0, least=0, most=10)

BACKUP_STORE = env_store_url("VBASE_BACKUP_STORE", DATA_DIR / "backups")
BACKUP_CONNECTIONS = env_int("VBASE_BACKUP_CONNECTIONS", 2, least=1, most=16)
BACKUP_MAX_BYTES_PER_SECOND = env_int("VBASE_BACKUP_MAX_BYTES_PER_SECOND", 0, least=0, most=2**50)
"""0: no limit."""

CLUSTER_MEMORY_BYTES = env_int("VBASE_CLUSTER_MEMORY_BYTES", 0, least=0, most=2**50)
"""0: half of the memory of the machine or container."""

LEASE_SECONDS = env_float("VBASE_LEASE_SECONDS", 30, least=0.5, most=3600)
SWEEP_SECONDS = env_float("VBASE_SWEEP_SECONDS", 10, least=0.1, most=600)
WORKER_CONCURRENCY = env_int("VBASE_WORKER_CONCURRENCY", 4, least=1, most=64)
MAX_WAITING_PER_CLUSTER = env_int("VBASE_MAX_WAITING_PER_CLUSTER", 100, least=1, most=100_000)
MAX_WAITING_PER_ORGANIZATION = env_int(
    "VBASE_MAX_WAITING_PER_ORGANIZATION", 1000, least=1, most=1_000_000
)
ORGANIZATION_SHARE_PERCENT = env_int("VBASE_ORGANIZATION_SHARE_PERCENT", 50, least=1, most=100)
LIVE_BUSY_SECONDS = 1.5
LIVE_IDLE_SECONDS = 10.0
"""Intervals at which an open page asks for changes."""
DEMO_NEEDS_CONFIRMATION = False
"""True if `manage.py seed_demo` requires `--yes`."""
WRONG_KEYS_PER_MINUTE = env_int("VBASE_WRONG_KEYS_PER_MINUTE", 60, least=1, most=1_000_000)
TASK_ATTEMPTS = env_int("VBASE_TASK_ATTEMPTS", 5, least=1, most=100)
TASK_STALL_SECONDS = 3600.0 * env_int("VBASE_TASK_STALL_HOURS", 6, least=1, most=720)
TASK_HISTORY_DAYS = env_int("VBASE_TASK_HISTORY_DAYS", 400, least=1, most=36500)
RUN_HISTORY_DAYS = env_int("VBASE_RUN_HISTORY_DAYS", 400, least=1, most=36500)
SIGN_IN_HISTORY_DAYS = env_int("VBASE_SIGN_IN_HISTORY_DAYS", 400, least=1, most=36500)
UPGRADE_KEEP = timedelta(hours=env_int("VBASE_UPGRADE_KEEP_HOURS", 24, least=1, most=8760))
IDEMPOTENCY_HOURS = env_int("VBASE_IDEMPOTENCY_HOURS", 24, least=1, most=720)

INSTALLED_APPS = [
    "vbase_console.apps.SupportAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_htmx",
    "django_celery_beat",
    "axes",
    "rest_framework",
    "rest_framework_api_key",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "vbase_console.apps.ConsoleConfig",
    "vbase_console.organizations.apps.OrganizationsConfig",
    "vbase_console.tasks.apps.TasksConfig",
    "vbase_console.api.apps.ApiConfig",
    "vbase_console.web.apps.WebConfig",
    "clusters.apps.ClustersConfig",
    "backups.apps.BackupsConfig",
    "backups.policies.apps.PoliciesConfig",
    "backups.protection.apps.ProtectionConfig",
    "vbase_console.search.apps.SearchConfig",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "vbase_console.core.middleware.HeadMiddleware",
    "vbase_console.core.middleware.PageCompressionMiddleware",
    "vbase_console.core.middleware.ContentSecurityPolicyMiddleware",
    "vbase_console.web.live_answers.LiveAnswerMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
    "vbase_console.web.errors.RefusalMiddleware",
]

ROOT_URLCONF = "vbase_console.urls"
WSGI_APPLICATION = "vbase_console.wsgi.application"
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
PASSWORD_HASHERS = ["vbase_console.organizations.passwords.BoundedPBKDF2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "sign-in"

# Ten wrong passwords for one person from one address lock that person's sign-in from there for 15
# minutes; no failure locks a person out elsewhere. Further tries do not prolong a lock, so that one
# client cannot keep an address locked that it shares.
AXES_HANDLER = "vbase_console.organizations.lockout.LockoutHandler"
AXES_FAILURE_LIMIT = 10
SIGN_IN_FAILURES_PER_ADDRESS = env_int(
    "VBASE_SIGN_IN_FAILURES_PER_ADDRESS", 30, least=1, most=100_000
)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_CLIENT_IP_CALLABLE = "vbase_console.core.client_address.network_of"
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_CALLABLE = "vbase_console.organizations.views.sign_in.locked"
AXES_VERBOSE = False

LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"
FORMAT_MODULE_PATH = "vbase_console.formats"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
# Source maps stay uncompressed, because browsers request them only with developer tools open and
# they are more than half of the files.
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = (*Compressor.SKIP_COMPRESS_EXTENSIONS, "map")

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "vbase_console.web.errors.form_expired"
SECURE_REFERRER_POLICY = "same-origin"

# A larger body is refused before it is parsed. No valid request is nearly as large.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
# A form may select as many collections as a request may name, besides its other fields.
DATA_UPLOAD_MAX_NUMBER_FIELDS = MAX_COLLECTIONS + 100

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["vbase_console.api.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["vbase_console.api.authentication.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "vbase_console.api.schema.WireSchema",
    "EXCEPTION_HANDLER": "vbase_console.api.errors.exception_handler",
    "UNAUTHENTICATED_USER": None,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "VBase Console",
    "DESCRIPTION": "Dedicated Milvus clusters and their backups. docs/api.md in the console's "
    "repository describes the rules of every call.",
    "VERSION": "v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "ENUM_NAME_OVERRIDES": {
        "ServiceStatus": "clusters.states.ServiceStatus",
        "TaskStatus": "vbase_console.tasks.states.TaskState",
        "TaskType": "clusters.states.TaskKind",
        "RolloutStatus": "clusters.states.RolloutState",
        "RolloutStepStatus": "clusters.states.StepState",
        "ConsoleStatus": ["SERVING", "DEGRADED"],
        "ComponentStatus": ["SERVING", "NOT_SERVING"],
        "BackupJobType": "backups.states.JobKind",
        "OnConflict": ["FAIL", "RENAME", "REPLACE"],
        "BackupStatus": ["CREATING", "AVAILABLE", "DELETING"],
        "OnMissing": ["FAIL", "WARN"],
        "ErrorCode": "vbase_console.api.errors.STATUS_OF",
        "ConfinementLevel": ["full", "files", "none"],
        "ServiceType": ["CLUSTER"],
        "DatabaseName": ["default"],
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
}

CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# Celery lowers the prefetch count when RabbitMQ closes a channel, and raises it again from a thread
# of the sweeper. That thread and the event loop would wait for the same answer, one for ever.
CELERY_WORKER_ENABLE_PREFETCH_COUNT_REDUCTION = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# Otherwise every word of a printed traceback becomes a line of the log.
CELERY_WORKER_REDIRECT_STDOUTS = False
# No part of the console sends remote commands. Their queues are exclusive on RabbitMQ: a second
# worker with the same node name, or the same worker while RabbitMQ still keeps its lost connection,
# is refused and consumes nothing.
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_TASK_DEFAULT_QUEUE = "tasks"
# The inventory scan may wait for silent clusters for 20 s, and its messages expire after 15 s. In
# the queue of tasks it starves behind long backups; in that of sweeps it delays the takeover of
# dead workers' tasks. The sweeper serves this queue too, with one thread at a time. A full name
# takes precedence over a pattern.
CELERY_TASK_ROUTES = {
    "vbase.sweep.*": {"queue": "sweeps"},
    "vbase.sweep.inventory": {"queue": "inventory"},
}
CELERY_TASK_PUBLISH_RETRY = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_CONNECTION_TIMEOUT = 2
# RabbitMQ closes connections that promised heartbeats and send none, as those of web processes do.
# TCP detects dead peers as fast.
CELERY_BROKER_HEARTBEAT = 0
# RabbitMQ closes the channel of a worker that is busy for half an hour. The worker opens another
# channel and continues, instead of ending with all its tasks.
CELERY_BROKER_CHANNEL_ERROR_RETRY = True
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "vbase_console.supervisor.beat.Scheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 5

LOG_LEVEL = env_choice("VBASE_LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))
# Sweeps run every few seconds, so libraries that log each of them are one level quieter.
_LIBRARY_LOG_LEVEL = "WARNING" if LOG_LEVEL == "INFO" else LOG_LEVEL
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {
            "()": "vbase_console.core.log_lines.LineFormatter",
            "format": "{asctime} {levelname} {name}: {message}",
            "style": "{",
        }
    },
    "filters": {"outages": {"()": "vbase_console.core.outages.OutageFilter"}},
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "plain",
            "filters": ["outages"],
        }
    },
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        "django.request": {"level": "ERROR"},
        # A traceback for each request. `error_handlers` logs one line.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        **{
            name: {"level": _LIBRARY_LOG_LEVEL}
            for name in ("axes", "celery.app.trace", "celery.worker.strategy", "celery.beat")
        },
    },
}

_SWEEP = timedelta(seconds=SWEEP_SECONDS)
# Every entry wakes one sweep. A message expires when the next one is due, because one message is
# enough to start the sweep.
CELERY_BEAT_SCHEDULE = {
    name: {"task": name, "schedule": every, "options": {"expires": every.total_seconds()}}
    for name, every in {
        "vbase.sweep.tasks": _SWEEP,
        "vbase.sweep.clusters": _SWEEP,
        "vbase.sweep.rollouts": _SWEEP,
        "vbase.sweep.janitor": timedelta(minutes=1),
        "vbase.sweep.inventory": timedelta(seconds=15),
        "vbase.sweep.policies": timedelta(seconds=2),
        "vbase.sweep.retention": timedelta(seconds=20),
        "vbase.sweep.load": timedelta(seconds=10),
        "vbase.sweep.metrics": timedelta(minutes=1),
        "vbase.sweep.copies": timedelta(minutes=5),
        "vbase.sweep.housekeeping": timedelta(hours=1),
        "vbase.sweep.runs": timedelta(hours=1),
        "vbase.sweep.storage": timedelta(minutes=10),
        "vbase.sweep.answers": timedelta(hours=1),
        "vbase.sweep.sign_ins": timedelta(hours=1),
    }.items()
}
