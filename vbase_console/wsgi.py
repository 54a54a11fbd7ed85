from __future__ import annotations

import gc
import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vbase_console.settings.embedded")

application = get_wsgi_application()

# Pages and API are imported before gunicorn forks, so that no first request waits for them and the
# processes share their memory.
get_resolver().url_patterns  # noqa: B018

# What has been imported stays until the end. Each full collection would look at all of it, and
# requests would wait for 50 to 100 ms meanwhile.
gc.collect()
gc.freeze()
