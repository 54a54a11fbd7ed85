from __future__ import annotations

import atexit
import gc

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig
from django.db.backends.signals import connection_created

from vbase_console.core.outages import on_database_connected
from vbase_console.core.planner_statistics import set_page_cost

PYTHONS_THRESHOLD = 700


class SupportAdminConfig(AdminConfig):
    default_site = "vbase_console.dashboard.support.site.SupportSite"


class ConsoleConfig(AppConfig):
    name = "vbase_console"

    def ready(self) -> None:
        connection_created.connect(on_database_connected)
        connection_created.connect(set_page_cost)
        gc.freeze()
        gc.set_threshold(PYTHONS_THRESHOLD)
        # The last garbage collection of a process takes a third of a second, and its memory is
        # freed anyway.
        atexit.register(gc.freeze)
