"""A worker as a program: does what there is, and ends; or is killed or stopped on its way."""

from __future__ import annotations

from pathlib import Path

import django


def main(told: str, fate: str) -> None:
    """`told` is a file to tell in."""
    django.setup()
    from tests.crash.backups.effects import Announcer, Fate, announce_all, make_parts_small
    from tests.crash.processes import work_until_nothing_is_left

    make_parts_small()
    announce_all(Announcer(Path(told), Fate.from_text(fate)))
    work_until_nothing_is_left()
