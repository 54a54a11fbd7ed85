"""What is wrong with an archive, in words that a terminal and a page can show."""

from __future__ import annotations


class ArchiveDamaged(Exception):
    """A file of the archive is not what was written; nothing more of it should be used."""

    permanent = True

    def __init__(self, file: str, problem: str) -> None:
        super().__init__(f"{file}: {problem}")
        self.file, self.problem = file, problem


def printable(name: str) -> str:
    """A foreign file can have any name; it must not play with the reader's terminal."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in name)
