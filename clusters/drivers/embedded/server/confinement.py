"""Confinement of a cluster's process to its data, its port and a limit of memory.

Applied before the import of the engine, which starts threads.
"""

from __future__ import annotations

import compileall
import importlib.util
import logging
import os
import shutil
import tempfile
from pathlib import Path

import clusters
from clusters.drivers.sandbox.limits import UNTOUCHED_BYTES, machine_bytes
from clusters.drivers.sandbox.process import (
    Confinement,
    Level,
    Sandbox,
    confine,
    interpreter_paths,
)

logger = logging.getLogger(__name__)

_TEMPORARY = ".tmp"
_CODE = Path(clusters.__path__[0]).resolve()
_ENGINE = "milvus_lite"

UNCONFINED = Confinement(
    level=Level.NONE, problems=["The process was started without confinement."]
)


def confine_cluster(data_dir: Path, *, port: int, memory_bytes: int | None) -> Confinement:
    """Confine this process to `data_dir` and `port`; by default to half of the machine's memory."""
    _write_bytecode()
    _use_own_temporary_directory(data_dir)
    _disable_copied_attributes()
    memory = memory_bytes or machine_bytes() // 2
    done = confine(
        Sandbox(
            read=[*interpreter_paths(), _CODE, *_engine_paths()],
            write=[data_dir],
            ports=[port],
            data_bytes=memory + UNTOUCHED_BYTES,
        )
    )
    if done.level is Level.FULL:
        logger.info("confined: full, at most %d MiB of memory", memory // 1024**2)
    else:
        logger.warning("confined: %s. %s", done.level, done.message)
    return done


def _write_bytecode() -> None:
    """Compile now, because the confined process cannot write bytecode for the next start."""
    for directory in (*(path / _ENGINE for path in _engine_paths()), _CODE / "drivers"):
        compileall.compile_dir(directory, quiet=2)


def _engine_paths() -> list[Path]:
    """Return the directory of the engine's version, which may be outside of the interpreter's."""
    engine = importlib.util.find_spec(_ENGINE)
    packages = engine.submodule_search_locations or () if engine else ()
    return [Path(package).parent for package in packages]


def _use_own_temporary_directory(data_dir: Path) -> None:
    temporary = data_dir / _TEMPORARY
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True, exist_ok=True)
    os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)


def _disable_copied_attributes() -> None:
    """Disable `shutil.copystat`, through which the engine changes modes and times by path."""
    shutil.copystat = lambda *arguments, **options: None
