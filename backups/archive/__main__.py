"""`python -m backups.archive verify|show|export PATH|s3://…`, `list s3://…`: without Django, a
database or Milvus.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from backups.archive.confinement import confine
from backups.archive.damage import ArchiveDamaged, printable
from backups.archive.fetching import FetchedStore, Fetcher, start_reader
from backups.archive.layout import MANIFEST_NAME
from backups.stores import load_archive_store
from backups.stores.base import ReadableStore, StoreError
from backups.stores.ending import run_and_end
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
        _print(f"{arguments.location}: sound")
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


def list_command(arguments: argparse.Namespace) -> int:
    """Print the archives below a location, such as a whole backup store."""
    location, archives = arguments.location.rstrip("/"), 0
    for entry in load_archive_store(location).list(""):
        directory, _, name = entry.key.rpartition("/")
        if name == MANIFEST_NAME:
            archives += 1
            _print(printable(f"{location}/{directory}" if directory else location))
    return SOUND if archives else _refuse(f"{location} contains no archive.")


def _target(arguments: argparse.Namespace) -> Path:
    name = Path(arguments.location).resolve().name
    target: Path = arguments.to or Path(f"{name}-import")
    return target


def main(argv: Sequence[str] | None = None, *, confined: bool = False) -> int:
    arguments = _parser().parse_args(argv)
    try:
        return _run(arguments, sys.argv[1:] if argv is None else argv, confined=confined)
    except ArchiveDamaged as damage:
        _print(f"{printable(damage.file)}: {damage.problem}")
        return DAMAGED
    except StoreError as error:
        _print(str(error))
        return DAMAGED
    except MemoryError as error:
        return _refuse(f"{arguments.location} exceeds the memory limit of this command: {error}.")
    except ValueError as error:  # a URL or a variable that names no store
        return _refuse(str(error))


def _run(arguments: argparse.Namespace, argv: Sequence[str], *, confined: bool) -> int:
    """Run the command in this process, or in a confined one if its files come over a network."""
    if arguments.run is list_command:
        return int(list_command(arguments))
    target = _target(arguments) if arguments.run is export_command else None
    directory = None
    if not arguments.fetched:
        store = load_archive_store(arguments.location)
        if not isinstance(store, LocalStore):
            return _run_fetched(store, argv)
        directory = Path(store.root)
    if target is not None and directory and target.resolve().is_relative_to(directory.resolve()):
        return _refuse(f"{target} is inside the archive. Choose a directory outside with --to.")
    if confined and (problem := confine(directory, target)):
        sys.stderr.write(f"Warning: {problem}\n")
    status: int = arguments.run(arguments)
    return status


def _run_fetched(store: ReadableStore, argv: Sequence[str]) -> int:
    """Run the command in a process without network, and fetch for it."""
    process, requests, answers = start_reader("backups.archive", [*argv, "--fetched"])
    with process, contextlib.suppress(BrokenPipeError), requests, answers:
        Fetcher(store).serve(requests, answers)
    return int(process.returncode)


def _refuse(reason: str) -> int:
    sys.stderr.write(f"{reason}\n")
    return REFUSED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m backups.archive", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="verify|show|export|list")
    _add_command(commands, "verify", verify)
    _add_command(commands, "show", show)
    exporting = _add_command(commands, "export", export_command)
    exporting.add_argument("--to", type=Path, help="a new directory; default: PATH's name-import")
    _add_command(commands, "list", list_command)
    return parser


def _add_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=run.__doc__, description=run.__doc__)
    command.add_argument(
        "location", help="the directory that contains manifest.json, or its s3:// URL"
    )
    command.add_argument("--fetched", default="", help=argparse.SUPPRESS)
    command.set_defaults(run=run)
    return command


def _store(arguments: argparse.Namespace) -> ReadableStore:
    if arguments.fetched:
        return FetchedStore.of(arguments.fetched)
    return load_archive_store(arguments.location)


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    run_and_end(lambda: sys.exit(main(confined=True)))
