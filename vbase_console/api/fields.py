"""Fields that take what JSON says and guess nothing: "5" is no number, 1 is no boolean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers


class Text(serializers.CharField):
    """Kept as it was sent; the services trim what may be trimmed."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**({"trim_whitespace": False} | options))

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError("Give a text.")
        return super().to_internal_value(data)


class WholeNumber(serializers.IntegerField):
    def to_internal_value(self, data: Any) -> int:
        whole = isinstance(data, int) or (isinstance(data, float) and data.is_integer())
        if isinstance(data, bool) or not whole:
            raise serializers.ValidationError("Give a whole number.")
        return super().to_internal_value(int(data))


class Flag(serializers.BooleanField):
    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            raise serializers.ValidationError("Give true or false.")
        return data


class Choice(serializers.ChoiceField):
    """One of these words. Those of `unnamed` are as good as none, and nobody is told of them."""

    def __init__(self, named: Sequence[str], *, unnamed: Sequence[str] = (), **options: Any):
        super().__init__(choices=[*named, *unnamed], **options)
        self.error_messages["invalid_choice"] = f"Give one of {', '.join(named)}."


RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)


class Instant(serializers.DateTimeField):
    """RFC 3339, with its offset: a time without one is another instant for every reader."""

    def to_internal_value(self, value: Any) -> datetime:
        text = value.upper() if isinstance(value, str) else ""
        if not RFC_3339.fullmatch(text):
            raise serializers.ValidationError("Give an instant such as 2026-11-22T09:15:00Z.")
        return super().to_internal_value(text)


class LocalInstant(serializers.DateTimeField):
    """Outgoing: as clocks show it where it was asked for, with its offset."""

    def to_representation(self, value: Any) -> str:
        return str(value.isoformat())


class QueryFlag(serializers.BooleanField):
    """true or false, spelled out in an address."""

    def to_internal_value(self, data: Any) -> bool:
        if data not in ("true", "false"):
            raise serializers.ValidationError("Give true or false.")
        return bool(data == "true")


@extend_schema_field(
    {"type": "object", "additionalProperties": {"type": "string", "maxLength": 255}}
)
class Labels(serializers.Field[dict[str, Any], Any, dict[str, Any], Any]):
    """Data of the tenant's: neither keys nor values are ever re-cased or trimmed."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError("Give an object of texts.")
        return data

    def to_representation(self, value: dict[str, Any]) -> dict[str, Any]:
        return value


class TextOrNull(serializers.CharField):
    """Outgoing: an empty text is an absent one."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_null=True, **options)

    def to_representation(self, value: Any) -> Any:
        return value or None


class Constant(serializers.ChoiceField):
    """Outgoing: always the same word."""

    def __init__(self, value: str) -> None:
        self.value = value
        super().__init__(choices=[value])

    def get_attribute(self, instance: Any) -> Any:
        return self.value
