from __future__ import annotations

from http import HTTPStatus
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from vbase_console.api import idempotency
from vbase_console.api.operations import Operation
from vbase_console.api.serializers import ErrorResponseSerializer, Nothing

KEYED = (401, 403, 404, 429)
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
    """Schema of a view from its `operations`. Views without operations are excluded."""

    @property
    def operation(self) -> Operation | None:
        operation: Operation | None = getattr(self.view, "operations", {}).get(self.method)
        return operation

    def is_excluded(self) -> bool:
        return self.operation is None

    def get_operation_id(self) -> str:
        return self._served.name

    def get_tags(self) -> list[str]:
        return [self._served.tag]

    def get_summary(self) -> str:
        return self._served.summary

    def get_description(self) -> str:  # type: ignore[override]
        text = " ".join(str(super().get_description()).split())
        return f"{text} Scope: {self._served.scope_in_words}."

    def _get_serializer_name(
        self, serializer: Any, direction: str, bypass_extensions: bool = False
    ) -> str:
        """Return the name of the class: requests and answers have classes of their own, so requests
        need no prefix and no suffix.
        """
        return str(super()._get_serializer_name(serializer, "response", bypass_extensions))

    def get_auth(self) -> list[dict[str, Any]]:
        return [] if self._served.is_public else super().get_auth()

    def get_request_serializer(self) -> Any:
        return self._served.body

    def get_override_parameters(self) -> list[Any]:
        served = self._served
        parameters: list[Any] = [] if served.query is Nothing else [served.query]
        if self.method != "GET":
            parameters.append(_KEY)
        headers = {}
        if served.changes:
            headers["Location"] = "Address of the changed object."
        if served.starts_task:
            headers[idempotency.OPERATION_ID] = "Id of the task that makes the change."
        parameters += [
            OpenApiParameter(name, str, OpenApiParameter.HEADER, description=text, response=[200])
            for name, text in headers.items()
        ]
        return parameters

    def get_response_serializers(self) -> Any:
        served = self._served
        statuses = {400, 500, 503, *served.errors}
        if not served.is_public:
            statuses |= set(KEYED)
        if self.method != "GET":
            statuses |= set(WITH_A_BODY)
        answers: dict[Any, Any] = {200: served.answer}
        if served.media_type:
            answers = {(200, served.media_type): OpenApiTypes.BINARY}
        for status in sorted(statuses):
            answers[status] = OpenApiResponse(
                ErrorResponseSerializer, description=HTTPStatus(status).phrase
            )
        return answers

    def get_examples(self) -> list[OpenApiExample]:
        served, examples = self._served, []
        if served.request_example is not None:
            examples.append(OpenApiExample("Request", served.request_example, request_only=True))
        examples += [
            OpenApiExample(purpose, body, request_only=True)
            for purpose, body in served.more_request_examples.items()
        ]
        if served.answer_example is not None:
            examples.append(
                OpenApiExample(
                    "Answer", served.answer_example, response_only=True, status_codes=["200"]
                )
            )
        return examples

    @property
    def _served(self) -> Operation:
        if self.operation is None:
            raise LookupError(f"{self.path} does not serve {self.method}.")
        return self.operation


_KEY = OpenApiParameter(
    idempotency.HEADER,
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[\x21-\x7e]+$"},
    OpenApiParameter.HEADER,
    description="A repeated request with this key and the same body gets the same answer for 24 "
    "hours. The change is made once.",
)
