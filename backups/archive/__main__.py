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

# What imports pyarrow is imported by the commands, because it starts threads and the process is
# confined while it has one.

SOUND, DAMAGED, REFUSED = 0, 1, 2


def verify(arguments: argparse.Namespace) -> int:
    """Name every file that is not what it was; exit 0 if there is none, else 1."""
    from backups.archive.verify import findings

    found = findings(_store(arguments), "")
    for each in found:
        _say(str(each))
    if not found:
        _say(f"{arguments.path}: sound")
    return DAMAGED if found else SOUND


def show(arguments: argparse.Namespace) -> int:
    """Print what is in the backup, as its manifest says."""
    from backups.archive.reader import ArchiveReader
    from backups.archive.show import described

    for line in described(ArchiveReader(_store(arguments), "").manifest):
        _say(line)
    return SOUND


def export_command(arguments: argparse.Namespace) -> int:
    """Write what Milvus' bulk import takes; every part is verified before it is written."""
    from backups.archive.export import ExportRefused, export
    from backups.archive.reader import ArchiveReader

    try:
        for path in export(ArchiveReader(_store(arguments), ""), _target(arguments)):
            _say(str(path))
    except ExportRefused as refusal:
        return _refuse(str(refusal))
    return SOUND


def _target(arguments: argparse.Namespace) -> Path:
    default = Path(f"{arguments.path.resolve().name}-import")
    target: Path = arguments.to or default
    return target


def main(argv: list[str] | None = None, *, confined: bool = False) -> int:
    """With `confined` the whole process is confined to the archive and the export, for ever."""
    arguments = _parser().parse_args(argv)
    target = _target(arguments) if arguments.run is export_command else None
    if target is not None and target.resolve().is_relative_to(arguments.path.resolve()):
        return _refuse(f"{target} is inside the archive, where it would be foreign.")
    if confined and (problem := confine(arguments.path, target)):
        sys.stderr.write(f"Warning: {problem}\n")
    try:
        status: int = arguments.run(arguments)
    except ArchiveDamaged as damage:
        _say(f"{printable(damage.file)}: {damage.problem}")
        return DAMAGED
    except StoreError as error:
        _say(str(error))
        return DAMAGED
    except MemoryError as error:
        return _refuse(f"{arguments.path} needs more memory than this command may use: {error}.")
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
    command.add_argument("path", type=Path, help="the directory that holds manifest.json")
    command.set_defaults(run=run)
    return command


def _store(arguments: argparse.Namespace) -> LocalStore:
    return LocalStore(arguments.path, lists_temporary=True)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main(confined=True))
