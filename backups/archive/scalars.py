"""Single values in the manifest: default values of fields and bounds of key ranges.

The JSON form names the type, so that 1, 1.0, "1" and true stay distinct. A float is stored as its
IEEE 754 bits, so that NaN payloads and -0.0 are kept.
"""

from __future__ import annotations

import dataclasses
import struct
from typing import Any, Self

from backups.archive.codec import FormatError, JsonModel

_BYTES_OF_A_DOUBLE = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scalar(JsonModel):
    """`bool`, `int`, `str`, `bytes` or `float`. A FLOAT default is stored as the equal double."""

    value: bool | int | float | str | bytes

    def to_json(self) -> dict[str, Any]:
        match self.value:
            case bool():
                return {"bool": self.value}
            case int():
                return {"int": self.value}
            case str():
                return {"string": self.value}
            case bytes():
                return {"bytes": self.value.hex()}
            case float():
                return {"double": struct.pack(">d", self.value).hex()}

    @classmethod
    def from_json(cls, value: object, path: str = "$") -> Self:
        if type(value) is not dict or len(value) != 1:
            raise FormatError(f"{path}: expected an object with one member that names the type")
        ((kind, inner),) = value.items()
        return cls(value=_decoded(kind, inner, path))


def _decoded(kind: str, inner: object, path: str) -> bool | int | float | str | bytes:
    match kind, inner:
        case ("bool", bool(flag)):
            return flag
        case ("int", int(number)) if type(inner) is int:
            return number
        case ("string", str(text)):
            return text
        case ("bytes", str(text)):
            return _from_hex(text, path)
        case ("double", str(text)):
            return _double(_from_hex(text, path), path)
        case _:
            raise FormatError(f"{path}: {kind!r} with a {type(inner).__name__} is no scalar")


def _double(raw: bytes, path: str) -> float:
    if len(raw) != _BYTES_OF_A_DOUBLE:
        raise FormatError(f"{path}: a double has 16 hexadecimal digits")
    (number,) = struct.unpack(">d", raw)
    return float(number)


def _from_hex(text: str, path: str) -> bytes:
    try:
        raw = bytes.fromhex(text)
    except ValueError as error:
        raise FormatError(f"{path}: {text!r} is not hexadecimal") from error
    if raw.hex() != text:
        raise FormatError(f"{path}: {text!r} is not written as lower-case hexadecimal digits")
    return raw
