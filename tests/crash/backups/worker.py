"""A worker as a program: does what there is, and ends; or is killed or stopped on its way.

python -m tests.crash.backups.worker <a file to tell in> <its fate>
"""

from __future__ import annotations

import sys
from pathlib import Path

import django


def main(told: str, fate: str) -> None:
    django.setup()
    from tests.crash.backups.effects import Announcer, Fate, announce_all, make_parts_small
    from tests.crash.processes import work_until_nothing_is_left

    make_parts_small()
    announce_all(Announcer(Path(told), Fate.from_text(fate)))
    work_until_nothing_is_left()


if __name__ == "__main__":
    main(*sys.argv[1:])
