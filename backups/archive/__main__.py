"""`python -m backups.archive verify|show|export PATH`: without Django, a database or Milvus."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from backups.archive.damage import ArchiveDamaged, printable
from backups.archive.export import ExportRefused, export
from backups.archive.reader import ArchiveReader
from backups.archive.show import described
from backups.archive.verify import findings
from backups.stores.base import StoreError
from backups.stores.local import LocalStore

SOUND, DAMAGED, REFUSED = 0, 1, 2


def verify(arguments: argparse.Namespace) -> int:
    """Name every file that is not what it was; exit 0 if there is none, else 1."""
    found = findings(_store(arguments), "")
    for each in found:
        _say(str(each))
    if not found:
        _say(f"{arguments.path}: sound")
    return DAMAGED if found else SOUND


def show(arguments: argparse.Namespace) -> int:
    """Print what is in the backup, as its manifest says."""
    for line in described(ArchiveReader(_store(arguments), "").manifest):
        _say(line)
    return SOUND


def export_command(arguments: argparse.Namespace) -> int:
    """Write what Milvus' bulk import takes; every part is verified before it is written."""
    target = arguments.to or Path(f"{arguments.path.resolve().name}-import")
    if target.resolve().is_relative_to(arguments.path.resolve()):
        raise ExportRefused(f"{target} is inside the archive, where it would be foreign.")
    for path in export(ArchiveReader(_store(arguments), ""), target):
        _say(str(path))
    return SOUND


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
    except ArchiveDamaged as damage:
        _say(f"{printable(damage.file)}: {damage.problem}")
        return DAMAGED
    except StoreError as error:
        _say(str(error))
        return DAMAGED
    except ExportRefused as refusal:
        sys.stderr.write(f"{refusal}\n")
        return REFUSED
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m backups.archive", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="verify|show|export")
    _add_command(commands, "verify", verify)
    _add_command(commands, "show", show)
    exporting = _add_command(commands, "export", export_command)
    exporting.add_argument("--to", type=Path, help="a new directory; default: PATH's name-import")
    return parser


def _add_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=run.__doc__, description=run.__doc__)
    command.add_argument("path", type=Path, help="the directory that holds manifest.json")
    command.set_defaults(run=run)
    return command


def _store(arguments: argparse.Namespace) -> LocalStore:
    return LocalStore(arguments.path, lists_temporary=True)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
