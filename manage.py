#!/usr/bin/env python
from __future__ import annotations

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

from backups.stores.ending import run_and_end


def main() -> None:
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"A setting is wrong. {error}")


if __name__ == "__main__":
    os.umask(0o077)  # what a command makes in the data directory is its owner's alone
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vbase_console.settings.embedded")
    run_and_end(main)
