from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, ClassVar, cast

from django.db import DatabaseError
from django.http import HttpRequest
from django.utils.encoding import escape_uri_path
from rest_framework.exceptions import MethodNotAllowed, ValidationError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from vbase_console.api import idempotency
from vbase_console.api.calls import OperationCall, answer_call
from vbase_console.api.idempotency import Answer
from vbase_console.api.operations import Operation
from vbase_console.api.parsers import read_object
from vbase_console.core.client_address import source_of
from vbase_console.core.errors import Aborted, InvalidArgument, NotFound
from vbase_console.organizations.audit import Interface
from vbase_console.organizations.tenancy import Principal

READS_NO_BODY = ("GET", "HEAD", "OPTIONS")


class AlwaysJson(BaseContentNegotiation):
    """Answers JSON, whatever the `Accept` header asks for."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


class ApiView(APIView):
    """Endpoint: authenticate, read the request, call one service, answer.

    Each method of `operations` has a handler of the same name. gRPC calls are answered by the same
    endpoints (`vbase_console.rpc`), with their own `interface`.
    """

    content_negotiation_class = AlwaysJson
    metadata_class = None
    operations: ClassVar[Mapping[str, Operation]] = {}
    """Method → operation. Other methods are not served."""
    interface = Interface.API
    is_abandoned: Callable[[], bool] = staticmethod(lambda: False)
    """True if no client waits for the answer any more."""
    operation: Operation | None = None
    payload: dict[str, Any]
    """JSON object of the request body."""
    asked: dict[str, Any]
    """Validated parameters of the query."""

    @property
    def principal(self) -> Principal:
        return cast(Principal, self.request.auth)

    @property
    def allowed_methods(self) -> list[str]:
        return list(self.operations)

    @property
    def required_scope(self) -> str | None:
        return self.operation.scope if self.operation else None

    @cached_property
    def call(self) -> OperationCall:
        operation = self._served_operation()
        return OperationCall(
            principal=self.principal,
            action=operation.name,
            interface=self.interface,
            source=source_of(self.request._request),
            is_audited=operation.changes or operation.reveals,
            # The last id of the address: in `/clusters/<id>/tasks/<id>`, the task's.
            object_id=next(reversed(self.kwargs.values()), ""),
        )

    def prepare(self) -> None:
        """Ask a running cluster before the transaction of a change begins. Not called if the answer
        is already kept.
        """

    # -- called by handlers ------------------------------------------------------------------------

    def require_organization(self, organization_id: str) -> None:
        """Raise NotFound unless the organization is the principal's own."""
        if organization_id.lower() != str(self.principal.organization_id):
            raise NotFound(f"Organization '{organization_id}' not found.")

    def given(self) -> dict[str, Any]:
        """Return the values of the body. Ids that are also in the address must be equal."""
        self._require_named_organization()
        values = self._served_operation().body.read(self.payload)
        for name, in_path in self.kwargs.items():
            if values.pop(name, in_path) != in_path:
                text = f"The address says '{in_path}'. Omit the field or send the same value."
                raise InvalidArgument(field_errors={name: [text]})
        values.pop("organization_id", None)
        return values

    def _require_named_organization(self) -> None:
        """Check the organization before all other fields: a stranger learns nothing about them."""
        if "organization_id" in self.kwargs:
            return
        for spelling in ("organizationId", "organization_id"):
            named = self.payload.get(spelling)
            if isinstance(named, str):
                self.require_organization(named)

    def accepted(self, body: dict[str, Any], *, location: str, operation_id: str = "") -> Response:
        headers = {"Location": location}
        if operation_id:
            headers[idempotency.OPERATION_ID] = operation_id
        return Response(body, headers=headers)

    # -- one request -------------------------------------------------------------------------------

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Response:
        self.args, self.kwargs, self.headers = args, kwargs, {"Cache-Control": "no-store"}
        method = str(request.method)
        self.operation = self.operations.get("GET" if method == "HEAD" else method)
        self.request = self.initialize_request(request, *args, **kwargs)
        self.response = self.finalize_response(self.request, self._answered(), *args, **kwargs)
        return self.response

    def _answered(self) -> Response:
        changes = self.operation is not None and self.operation.changes
        try:
            self.initial(self.request, *self.args, **self.kwargs)
            self._complete_ids()
            # Read before a transaction begins: a slow client must not hold one open.
            self.asked = self._served_operation().query.read(_flat_query(self.request))
            has_body = self.request.method not in READS_NO_BODY
            self.payload = read_object(self.request._request) if has_body else {}
            key = self._idempotency_key() if has_body else None
            if not changes and key is None:
                response = self._handled()
                if self._served_operation().reveals:
                    self.call.record(Answer(status=200, body={}, headers={}))
                return response
        except Exception as error:
            response = self.handle_exception(error)
            # After a failure of the database the principal is unknown: reading it would wait again.
            is_known = not isinstance(error, DatabaseError) and self.request.auth is not None
            if changes and is_known:
                self.call.record_refused(_answer_of(response))
            return response
        answer = answer_call(
            self.call,
            key,
            prepare=self.prepare,
            handle=lambda: _answer_of(self._handled()),
            refuse=lambda error: _answer_of(self.handle_exception(error)),
        )
        return Response(answer.body, status=answer.status, headers=answer.headers)

    def _served_operation(self) -> Operation:
        if self.operation is None:
            raise MethodNotAllowed(str(self.request.method))
        return self.operation

    def _complete_ids(self) -> None:
        """Check the ids of the path, which gRPC takes from a message: any of them may be omitted,
        or be none that a path can have.
        """
        if self.kwargs.get("organization_id") == "":
            self.kwargs["organization_id"] = str(self.principal.organization_id)
        if missing := [name for name, text in self.kwargs.items() if not text]:
            raise InvalidArgument(field_errors={name: ["Give the id."] for name in missing})
        if impossible := [text for text in self.kwargs.values() if "/" in text]:
            raise NotFound(f"'{impossible[0]}' not found.")

    def _idempotency_key(self) -> idempotency.Key | None:
        request = self.request._request
        return idempotency.key_for(
            request.headers.get(idempotency.HEADER),
            organization_id=self.principal.organization_id,
            method=str(request.method),
            path=escape_uri_path(request.path),
            content=[sorted(request.GET.lists()), self.payload],
        )

    def _handled(self) -> Response:
        if self.is_abandoned():
            raise Aborted("The client has cancelled the call, or its deadline has passed.")
        handler: Callable[..., Response] = getattr(self, str(self.request.method).lower())
        return handler(self.request, *self.args, **self.kwargs)


def _answer_of(response: Response) -> Answer:
    error = response.data["response"] if response.status_code >= 400 else None
    return Answer(
        status=response.status_code,
        body=response.data,
        headers={name: text for name, text in response.items() if name != "Content-Type"},
        error=f"{error['code']}: {error['message']}" if error else "",
    )


def _flat_query(request: Request) -> dict[str, str]:
    """Return the parameters of the query. Repeated parameters are refused, not ignored."""
    lists = dict(request.query_params.lists())
    repeated = [name for name, values in lists.items() if len(values) > 1]
    if repeated:
        raise ValidationError({name: ["Send it once."] for name in repeated[:20]})
    return {name: values[0] for name, values in lists.items()}
