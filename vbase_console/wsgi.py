from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vbase_console.settings.embedded")

application = get_wsgi_application()

# Pages and API are imported before gunicorn forks, so that no first request waits for them and the
# processes share their memory.
get_resolver().url_patterns  # noqa: B018
