from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand

from vbase_console.supervisor.__main__ import main


class Command(BaseCommand):
    help = "Run the whole console on this machine until Ctrl-C, like `make run`."
    requires_system_checks = ()

    def handle(self, *arguments: Any, **options: Any) -> None:
        sys.exit(main())
