"""Base classes of requests (`Input`) and answers (`Output`). Fields are declared in snake_case and
sent in camelCase.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Self

from rest_framework import serializers

from vbase_console.api.casing import camel, in_camel
from vbase_console.api.errors import STATUS_OF
from vbase_console.api.fields import Text


class Message(serializers.Serializer[Any]):
    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        for name, field in fields.items():
            if field.source is None and camel(name) != name:
                field.source = name
        return {camel(name): field for name, field in fields.items()}


LIST_REFUSALS = {"not_a_list": "Give a list.", "empty": "Give at least one."}


class Input(Message):
    """Request message. A field may be sent in both spellings; null is like an omitted field."""

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        for field in fields.values():
            field.allow_null = field.allow_null or not field.required
            if isinstance(field, serializers.ListField):
                field.error_messages |= LIST_REFUSALS
        return fields

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            raise serializers.ValidationError("Give an object.")
        return super().to_internal_value(in_camel(data, self._declared_fields))

    @classmethod
    def read(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Return the values by their names in snake_case. Raises ValidationError."""
        reader = cls(data=data)
        reader.is_valid(raise_exception=True)
        values: dict[str, Any] = reader.validated_data
        return values


class Output(Message):
    """Message of an answer. All requests share one instance per class, because binding the fields
    costs more than their output.
    """

    @classmethod
    def of(cls, row: Any) -> dict[str, Any]:
        message: dict[str, Any] = cls._shared().to_representation(row)
        return message

    @classmethod
    @cache
    def _shared(cls) -> Self:
        return cls()


class Body(Input):
    """Request body, which may repeat the organization."""

    organization_id = Text(required=False, help_text="Default: the organization of the key.")


class Nothing(Input):
    """Query without parameters."""

    @classmethod
    def read(cls, data: dict[str, Any]) -> dict[str, Any]:
        return super().read(data) if data else {}


class SuccessSerializer(Output):
    success = serializers.BooleanField(help_text="Always true here.")


class MsgRespSerializer(Output):
    """Answer that contains only the acceptance."""

    success = serializers.BooleanField()
    code = serializers.CharField()
    message = serializers.CharField()


class ApiResponse(Output):
    """Answer with a payload."""

    response = SuccessSerializer()


class ProblemSerializer(Output):
    success = serializers.BooleanField(help_text="Always false here.")
    code = serializers.ChoiceField(choices=list(STATUS_OF))
    message = serializers.CharField(help_text="Problem and remedy.")
    field_errors = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()),
        required=False,
        help_text="With INVALID_ARGUMENT: field → problems.",
    )


class ErrorResponseSerializer(Output):
    response = ProblemSerializer()


def answer(**payload: Any) -> dict[str, Any]:
    return payload | {"response": {"success": True}}


def accepted(message: str) -> dict[str, Any]:
    return {"success": True, "code": "OK", "message": message}
