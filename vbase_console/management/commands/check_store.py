from __future__ import annotations

import argparse
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from backups.stores import load_store
from backups.stores.proof import MIB, Check, measure, prove

MAX_MIB = 1024


class Command(BaseCommand):
    help = (
        "Prove that the backup store does what archives rely on, and measure its throughput. The "
        "objects of the proof are deleted. Exit code 0: the store has all that is needed; 1: it "
        "lacks something, or does not answer."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--at-start",
            action="store_true",
            help="exit with 0 if the store does not answer, so that an outage of the store stops "
            "no process; measure nothing",
        )
        parser.add_argument(
            "--mib", type=int, default=64, help="size of the measured object (default: 64)"
        )

    def handle(self, *arguments: Any, **options: Any) -> None:
        at_start = bool(options["at_start"])
        store = load_store(settings.BACKUP_STORE)
        checks = []
        for check in prove(store):
            self.stdout.write(_line(check))
            checks.append(check)
        failed = [check for check in checks if check.problem]
        if failed:
            is_outage = all(check.is_transient for check in failed)
            raise SystemExit(0 if at_start and is_outage else 1)
        if not at_start:
            size = min(max(options["mib"], 1), MAX_MIB) * MIB
            self.stdout.write(f"Throughput: {measure(store, size=size)}.")
        self.stdout.write("The backup store has all that is needed.")


def _line(check: Check) -> str:
    if not check.problem:
        return f"ok      {check.name}"
    return f"{'silent' if check.is_transient else 'LACKS '}  {check.name}: {check.problem}"
