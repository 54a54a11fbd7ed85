"""The OpenAPI document, made from the operations that the views name."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from vbase_console.api import idempotency
from vbase_console.api.operations import Operation
from vbase_console.api.serializers import ErrorResponseSerializer, Nothing

KEYED = (401, 403, 404)
WITH_A_BODY = (400, 404, 409, 415)


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "vbase_console.api.authentication.ApiKeyAuthentication"
    name = "ApiKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key of one organization: `Authorization: Bearer <key>`.",
        }


class WireSchema(AutoSchema):
    """What a view says of itself in its `operations`; views without them are left to the stock."""

    @property
    def operation(self) -> Operation | None:
        found: Operation | None = getattr(self.view, "operations", {}).get(self.method)
        return found

    def is_excluded(self) -> bool:
        return self.operation is None

    def get_operation_id(self) -> str:
        return self._its.name

    def get_tags(self) -> list[str]:
        return [self._its.tag]

    def get_summary(self) -> str:
        return self._its.summary

    def get_description(self) -> str:  # type: ignore[override]
        said = " ".join(str(super().get_description()).split())
        return f"{said} Scope: {self._its.scope_in_words}."

    def _get_serializer_name(
        self, serializer: Any, direction: str, bypass_extensions: bool = False
    ) -> str:
        """Return the name of the class: requests and answers have classes of their own, so requests
        need no prefix and no suffix.
        """
        return str(super()._get_serializer_name(serializer, "response", bypass_extensions))

    def get_auth(self) -> list[dict[str, Any]]:
        return [] if self._its.is_public else [{"ApiKey": []}]

    def get_request_serializer(self) -> Any:
        return self._its.body

    def get_override_parameters(self) -> list[Any]:
        its = self._its
        parameters: list[Any] = [] if its.query is Nothing else [its.query]
        if self.method != "GET":
            parameters.append(_KEY)
        if its.changes:
            parameters += _headers(its)
        return parameters

    def get_response_serializers(self) -> Any:
        its = self._its
        answers: dict[int, Any] = {200: its.answer}
        for status in sorted(_errors(its, takes_a_body=self.method != "GET")):
            answers[status] = OpenApiResponse(
                ErrorResponseSerializer, description=HTTPStatus(status).phrase
            )
        return answers

    def get_examples(self) -> list[OpenApiExample]:
        its, made = self._its, []
        if its.request_example is not None:
            made.append(OpenApiExample("Request", its.request_example, request_only=True))
        if its.answer_example is not None:
            made.append(
                OpenApiExample(
                    "Answer", its.answer_example, response_only=True, status_codes=["200"]
                )
            )
        return made

    @property
    def _its(self) -> Operation:
        if self.operation is None:
            raise LookupError(f"{self.path} does not serve {self.method}.")
        return self.operation


_KEY = OpenApiParameter(
    idempotency.HEADER,
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[\x21-\x7e]+$"},
    OpenApiParameter.HEADER,
    description="The same key and body give the same answer for 24 hours; the work is done once.",
)


def _headers(operation: Operation) -> list[OpenApiParameter]:
    """Of the answer to a change."""
    named = {"Location": "Where what was asked for can be read."}
    if operation.starts_task:
        named["Operation-Id"] = "The task that does what was asked for."
    return [
        OpenApiParameter(name, str, OpenApiParameter.HEADER, description=text, response=[200])
        for name, text in named.items()
    ]


def _errors(operation: Operation, *, takes_a_body: bool) -> set[int]:
    errors = {400, 500, 503, *operation.errors}
    if not operation.is_public:
        errors |= set(KEYED)
    if takes_a_body:
        errors |= set(WITH_A_BODY)
    return errors
