"""Typed readers of environment variables. An invalid value stops the start with an error.

The console reads every variable through this module. A test compares them with the list in
docs/operations.md.
"""

from __future__ import annotations

import os
import secrets
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.validators import validate_email

from backups.stores import load_store
from vbase_console.core.addresses import AllowedNetworks, parse_networks

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
        raise ImproperlyConfigured(f"{name} is {value!r}. It must be one of {', '.join(choices)}.")
    return value


def env_email(name: str, default: str) -> str:
    value = env_str(name, default)
    try:
        validate_email(value)
    except ValidationError as error:
        raise ImproperlyConfigured(f"{name} is {value!r}. It must be an e-mail address.") from error
    return value


def env_path(name: str, default: Path) -> Path:
    return Path(env_str(name, str(default))).expanduser().absolute()


def env_file(name: str) -> str:
    """Return the absolute path of a readable file, or an empty text if the variable is not set."""
    value = env_str(name, "")
    path = str(Path(value).expanduser().absolute()) if value else ""
    if path and not os.access(path, os.R_OK):
        raise ImproperlyConfigured(f"{name} names {path}, which cannot be read.")
    return path


def require_both(values: Mapping[str, str]) -> None:
    """Refuse variables of which only some are set."""
    missing = [name for name, value in values.items() if not value]
    if 0 < len(missing) < len(values):
        raise ImproperlyConfigured(f"{missing[0]} is not set. Set {' and '.join(values)}, or none.")


def env_store_url(name: str, default: Path) -> str:
    value = env_str(name, str(default))
    try:
        load_store(value)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} is not the URL of a backup store. {error}") from error
    return value if urlsplit(value).scheme else str(env_path(name, default))


def env_list(name: str, default: list[str]) -> list[str]:
    value = env_str(name, "")
    return [part.strip() for part in value.split(",") if part.strip()] or default


def env_networks(name: str, default: list[str]) -> AllowedNetworks:
    """Return the networks that a comma-separated list of CIDRs and words allows."""
    texts = env_list(name, default)
    try:
        return parse_networks(name, texts)
    except ValueError as error:
        raise ImproperlyConfigured(
            f"{name} is {', '.join(texts)!r}. It must be a list of CIDRs and the words loopback, "
            f"private and public. {error}"
        ) from error


def env_secret(name: str) -> str | None:
    """Read a secret from NAME or from the file NAME_FILE. Returns None if neither is set."""
    value = os.environ.get(name, "").strip()
    file = os.environ.get(f"{name}_FILE", "").strip()
    if value and file:
        raise ImproperlyConfigured(f"{name} and {name}_FILE are both set. Set one of them.")
    if value or not file:
        return value or None
    try:
        return Path(file).read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(f"{name}_FILE names {file}, which cannot be read.") from error


def repeated(*names: str) -> list[str]:
    """Return shell assignments that repeat these variables of this process.

    The value of a secret is not shown: the shell expands it from its own environment, or fails.
    """
    assignments = []
    for name in names:
        if file := os.environ.get(f"{name}_FILE", "").strip():
            assignments.append(f"{name}_FILE={shlex.quote(file)}")
        elif os.environ.get(name, "").strip():
            assignments.append(f'{name}="${{{name}:?}}"')
    return assignments


def required(name: str, value: T | None) -> T:
    if value is None:
        raise ImproperlyConfigured(
            f"{name} is not set. Set it, or {name}_FILE to a file that contains it."
        )
    return value


def generated_secret(path: Path) -> str:
    """Read the secret in `path`. The first call creates it; processes may call concurrently."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _create_exclusively(path, secrets.token_urlsafe(48))
        return path.read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(
            f"{error}. Set VBASE_DATA_DIR to a directory that you can write to."
        ) from error


def _create_exclusively(path: Path, value: str) -> None:
    """Write a temporary file and link it to `path`, so that no reader sees an empty file and the
    first writer wins.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(value)
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


def _read(name: str, default: T, convert: Callable[[str], T], expected: str) -> T:
    value = os.environ.get(name, "").strip()
    if not value:
        return default
    try:
        return convert(value)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} is {value!r}. It must be {expected}.") from error


def _as_bool(value: str) -> bool:
    if value.lower() in TRUE | FALSE:
        return value.lower() in TRUE
    raise ValueError(value)


def _bounded(name: str, value: T, least: T, most: T) -> T:
    if not least <= value <= most:  # type: ignore[operator]
        raise ImproperlyConfigured(f"{name} is {value}. It must be between {least} and {most}.")
    return value
