"""`python -m backups.archive verify|show|export PATH`: without Django, a database or Milvus."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from backups.archive.confinement import confine
from backups.archive.damage import ArchiveDamaged, printable
from backups.stores.base import StoreError
from backups.stores.local import LocalStore

# The commands import pyarrow late, because it starts threads and a process must be confined before.

SOUND, DAMAGED, REFUSED = 0, 1, 2


def verify(arguments: argparse.Namespace) -> int:
    """List every damaged, missing or foreign file. Exits with 0 if there is none, else with 1."""
    from backups.archive.verify import findings

    damaged = findings(_store(arguments), "")
    for file in damaged:
        _print(str(file))
    if not damaged:
        _print(f"{arguments.path}: sound")
    return DAMAGED if damaged else SOUND


def show(arguments: argparse.Namespace) -> int:
    """Print the content of the backup from its manifest."""
    from backups.archive.reader import ArchiveReader
    from backups.archive.show import described

    for line in described(ArchiveReader(_store(arguments), "").manifest):
        _print(line)
    return SOUND


def export_command(arguments: argparse.Namespace) -> int:
    """Write files for Milvus' bulk import. Every part is verified first."""
    from backups.archive.export import ExportRefused, export
    from backups.archive.reader import ArchiveReader

    try:
        for path in export(ArchiveReader(_store(arguments), ""), _target(arguments)):
            _print(str(path))
    except ExportRefused as refusal:
        return _refuse(str(refusal))
    return SOUND


def _target(arguments: argparse.Namespace) -> Path:
    default = Path(f"{arguments.path.resolve().name}-import")
    target: Path = arguments.to or default
    return target


def main(argv: list[str] | None = None, *, confined: bool = False) -> int:
    arguments = _parser().parse_args(argv)
    target = _target(arguments) if arguments.run is export_command else None
    if target is not None and target.resolve().is_relative_to(arguments.path.resolve()):
        return _refuse(f"{target} is inside the archive. Choose a directory outside with --to.")
    if confined and (problem := confine(arguments.path, target)):
        sys.stderr.write(f"Warning: {problem}\n")
    try:
        status: int = arguments.run(arguments)
    except ArchiveDamaged as damage:
        _print(f"{printable(damage.file)}: {damage.problem}")
        return DAMAGED
    except StoreError as error:
        _print(str(error))
        return DAMAGED
    except MemoryError as error:
        return _refuse(f"{arguments.path} exceeds the memory limit of this command: {error}.")
    return status


def _refuse(reason: str) -> int:
    sys.stderr.write(f"{reason}\n")
    return REFUSED


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
    command.add_argument("path", type=Path, help="the directory that contains manifest.json")
    command.set_defaults(run=run)
    return command


def _store(arguments: argparse.Namespace) -> LocalStore:
    return LocalStore(arguments.path, lists_temporary=True)


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main(confined=True))
