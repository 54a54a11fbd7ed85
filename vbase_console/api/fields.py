"""Strict JSON field types: "5" is not a number, 1 is not a boolean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers


class Text(serializers.CharField):
    """Text with its outer spaces; services trim names."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**({"trim_whitespace": False} | options))

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError("Send a text.")
        return super().to_internal_value(data)


BOUNDS: dict[str, Any] = {
    "min_value": "Give {min_value} or more.",
    "max_value": "Give {max_value} or less.",
}


class WholeNumber(serializers.IntegerField):
    default_error_messages = BOUNDS

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
    """One of the words in `named`. The error message omits `unnamed` words, which mean none."""

    def __init__(self, named: Sequence[str], *, unnamed: Sequence[str] = (), **options: Any):
        super().__init__(choices=[*named, *unnamed], **options)
        self.error_messages["invalid_choice"] = f"Give one of {', '.join(named)}."


RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)


class Instant(serializers.DateTimeField):
    """Instant in RFC 3339 with its offset; without one the instant would be ambiguous."""

    def to_internal_value(self, value: Any) -> datetime:
        text = value.upper() if isinstance(value, str) else ""
        if not RFC_3339.fullmatch(text):
            raise serializers.ValidationError("Give an instant such as 2026-11-22T09:15:00Z.")
        return super().to_internal_value(text)


class LocalInstant(serializers.DateTimeField):
    """Local time of the requested zone, with its offset. Output only."""

    def to_representation(self, value: Any) -> str:
        return str(value.isoformat())


class QueryNumber(serializers.IntegerField):
    """Whole number in a query, which consists of texts."""

    default_error_messages = {"invalid": "Give a whole number.", **BOUNDS}


class QueryFlag(serializers.BooleanField):
    def to_internal_value(self, data: Any) -> bool:
        if data not in ("true", "false"):
            raise serializers.ValidationError("Give true or false.")
        return bool(data == "true")


@extend_schema_field(
    {"type": "object", "additionalProperties": {"type": "string", "maxLength": 255}}
)
class Labels(serializers.Field[dict[str, Any], Any, dict[str, Any], Any]):
    """Labels of the tenant. Keys and values are neither trimmed nor converted to camelCase."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError("Give an object of texts.")
        return data

    def to_representation(self, value: dict[str, Any]) -> dict[str, Any]:
        return value


class TextOrNull(serializers.CharField):
    def __init__(self, **options: Any) -> None:
        super().__init__(allow_null=True, **options)

    def to_representation(self, value: Any) -> Any:
        return value or None


class Constant(serializers.ChoiceField):
    def __init__(self, value: str) -> None:
        self.value = value
        super().__init__(choices=[value])

    def get_attribute(self, instance: Any) -> Any:
        return self.value
