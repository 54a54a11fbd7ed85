"""What every message shares, incoming (`Input`) and outgoing (`Output`): names in camelCase, made
from the snake_case of the declaration.
"""

from __future__ import annotations

from functools import cache
from typing import Any

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


class Input(Message):
    """A request. Both spellings are taken, null means left out, what is unknown is named."""

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        for field in fields.values():
            field.allow_null = field.allow_null or not field.required
        return fields

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            raise serializers.ValidationError("Give an object.")
        return super().to_internal_value(in_camel(data, self._declared_fields))

    @classmethod
    def read(cls, data: dict[str, Any]) -> dict[str, Any]:
        """The values under their inner names; raises where one cannot be."""
        reader = cls(data=data)
        reader.is_valid(raise_exception=True)
        values: dict[str, Any] = reader.validated_data
        return values


class Output(Message):
    """An answer's part. One instance per class serves every request: binding fields costs more
    than writing them.
    """

    @classmethod
    def of(cls, row: Any) -> dict[str, Any]:
        shown: dict[str, Any] = _writer(cls).to_representation(row)
        return shown


@cache
def _writer(cls: type[Output]) -> Output:
    return cls()


class Body(Input):
    """Every body may repeat whose it is."""

    organization_id = Text(required=False, help_text="Left out: the organization of the key.")


class Nothing(Input):
    """An address without parameters."""


class SuccessSerializer(Output):
    success = serializers.BooleanField(help_text="Always true here.")


class MsgRespSerializer(Output):
    """The whole body where nothing but the acceptance is answered."""

    success = serializers.BooleanField()
    code = serializers.CharField()
    message = serializers.CharField()


class ApiResponse(Output):
    """What every other answer carries beside its payload."""

    response = SuccessSerializer()


class ProblemSerializer(Output):
    success = serializers.BooleanField(help_text="Always false here.")
    code = serializers.ChoiceField(choices=list(STATUS_OF))
    message = serializers.CharField(help_text="What to do now.")
    field_errors = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()),
        required=False,
        help_text="With INVALID_ARGUMENT: what is wrong, field by field.",
    )


class ErrorResponseSerializer(Output):
    response = ProblemSerializer()


def answer(**payload: Any) -> dict[str, Any]:
    return payload | {"response": {"success": True}}


def accepted(message: str) -> dict[str, Any]:
    return {"success": True, "code": "OK", "message": message}
