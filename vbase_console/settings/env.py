"""Typed readers of the environment: what is wrong stops the start and is named.

Every variable that the console reads is read through here and listed in docs/operations.md; a test
holds the two together.
"""

from __future__ import annotations

import os
import secrets
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.validators import validate_email

from backups.stores import load_store

T = TypeVar("T")

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})


def env_str(name: str, default: str) -> str:
    return os.environ.get(name, "").strip() or default


def env_bool(name: str, default: bool) -> bool:
    return _read(name, default, _as_bool, "true or false")


def env_int(name: str, default: int, *, least: int, most: int) -> int:
    value = _read(name, default, int, "a whole number")
    return _bounded(name, value, least, most)


def env_float(name: str, default: float, *, least: float, most: float) -> float:
    value = _read(name, default, float, "a number")
    return _bounded(name, value, least, most)


def env_choice(name: str, default: str, choices: tuple[str, ...]) -> str:
    value = env_str(name, default)
    if value not in choices:
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be one of {', '.join(choices)}.")
    return value


def env_email(name: str, default: str) -> str:
    value = env_str(name, default)
    try:
        validate_email(value)
    except ValidationError as error:
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be an e-mail address.") from error
    return value


def env_path(name: str, default: Path) -> Path:
    return Path(env_str(name, str(default))).expanduser().absolute()


def env_store_url(name: str, default: Path) -> str:
    """Return the absolute path or the URL of a backup store."""
    value = env_str(name, str(default))
    try:
        load_store(value)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} is not the URL of a backup store. {error}") from error
    return value if urlsplit(value).scheme else str(env_path(name, default))


def env_list(name: str, default: list[str]) -> list[str]:
    value = env_str(name, "")
    return [part.strip() for part in value.split(",") if part.strip()] or default


def env_secret(name: str) -> str | None:
    """The value of NAME, or the content of the file that NAME_FILE names; None where neither is
    given.
    """
    value = os.environ.get(name, "").strip()
    file = os.environ.get(f"{name}_FILE", "").strip()
    if value and file:
        raise ImproperlyConfigured(f"{name} and {name}_FILE are both given; give one of them.")
    return value or (_secret_file(name, Path(file)) if file else None)


def repeated(*names: str) -> list[str]:
    """Assignments for a shell that choose the same values as this process's environment. A secret
    that was given by value is not shown: the shell takes it from its own environment, or refuses.
    """
    found = []
    for name in names:
        if file := os.environ.get(f"{name}_FILE", "").strip():
            found.append(f"{name}_FILE={shlex.quote(file)}")
        elif os.environ.get(name, "").strip():
            found.append(f'{name}="${{{name}:?}}"')
    return found


def required(name: str, value: T | None) -> T:
    if value is None:
        raise ImproperlyConfigured(f"{name} (or {name}_FILE) is needed here and not given.")
    return value


def generated_secret(path: Path) -> str:
    """The secret kept in `path`, made on the first call; several processes may call at once."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _create_exclusively(path, secrets.token_urlsafe(48))
        return path.read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(
            f"{error}. Give a directory of your own in VBASE_DATA_DIR."
        ) from error


def _create_exclusively(path: Path, value: str) -> None:
    """Write beside, then link into place: no reader ever meets an empty file, and the first
    writer wins.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(value)
    try:
        os.link(beside, path)
    except FileExistsError:
        pass
    finally:
        beside.unlink()


def _secret_file(name: str, path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(f"{name}_FILE names {path}, which cannot be read.") from error


def _read(name: str, default: T, convert: Callable[[str], T], wanted: str) -> T:
    value = os.environ.get(name, "").strip()
    if not value:
        return default
    try:
        return convert(value)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be {wanted}.") from error


def _as_bool(value: str) -> bool:
    if value.lower() in TRUE | FALSE:
        return value.lower() in TRUE
    raise ValueError(value)


def _bounded(name: str, value: T, least: T, most: T) -> T:
    if not least <= value <= most:  # type: ignore[operator]
        raise ImproperlyConfigured(f"{name} is {value}; it must lie between {least} and {most}.")
    return value
