"""The one way through an endpoint: who calls and with which scope, what was sent, one service, one
answer; and for what changes something one transaction with its audit row and its kept answer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar, cast

from django.db import DatabaseError, models, transaction
from django.http import HttpRequest
from rest_framework.exceptions import MethodNotAllowed, ValidationError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from vbase_console.api import idempotency
from vbase_console.api.operations import Operation
from vbase_console.api.parsers import read_object
from vbase_console.core.client_address import source_of
from vbase_console.core.errors import InvalidArgument, NotFound
from vbase_console.organizations import audit
from vbase_console.organizations.models import Outcome
from vbase_console.organizations.tenancy import Principal, TenantQuerySet

logger = logging.getLogger(__name__)
M = TypeVar("M", bound=models.Model)

READS_NO_BODY = ("GET", "HEAD", "OPTIONS")


class AlwaysJson(BaseContentNegotiation):
    """The console speaks JSON to whoever asks, whatever else they would have liked."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


class RollbackWithResponse(Exception):
    """The answer is an error of ours or about who asks: nothing of what led to it is kept."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


class ApiView(APIView):
    content_negotiation_class = AlwaysJson
    metadata_class = None
    operations: ClassVar[Mapping[str, Operation]] = {}
    """Method → what it is. A method that is not named is not served."""
    object_id = ""
    """What a change is about: from the address, or set by the view once it has made the thing."""
    detail = ""
    """What history says of a change that starts no task."""
    scopes_of_object: frozenset[str] = frozenset()
    """Those that were asked for because of what the change is about."""
    refused: Exception | None = None
    """What `prepare` met; it is answered in place of the work."""

    @property
    def principal(self) -> Principal:
        return cast(Principal, self.request.auth)

    @property
    def _method(self) -> str:
        return str(self.request.method)

    @property
    def operation(self) -> Operation | None:
        return self.operations.get("GET" if self._method == "HEAD" else self._method)

    @property
    def _expected(self) -> Operation:
        if self.operation is None:
            raise MethodNotAllowed(self._method)
        return self.operation

    @property
    def allowed_methods(self) -> list[str]:
        return list(self.operations)

    @property
    def required_scope(self) -> str | None:
        return self.operation.scope if self.operation else None

    def prepare(self) -> None:
        """Of a change: whatever takes its time, such as a question to a running cluster. Called
        before the transaction begins, and not at all where the answer is kept already.
        """

    # -- what views call ---------------------------------------------------------------------------

    def found(self, rows: TenantQuerySet[M], called: str = "", **key: Any) -> M:
        return rows.found(self.principal, called, **key)

    def require(self, scope: str) -> None:
        """A scope that depends on what the change is about; a repetition needs it as well."""
        self.scopes_of_object |= {scope}
        self.principal.require(scope)

    def require_organization(self, organization_id: str) -> None:
        """Whose an address is; a stranger learns nothing of it."""
        if organization_id.lower() != str(self.principal.organization_id):
            raise NotFound(f"There is no organization '{organization_id}' here.")

    def given(self) -> dict[str, Any]:
        """The body's values; ids that the address has as well must be the same."""
        self._require_named_organization()
        values = self._expected.body.read(self.payload)
        for name, in_path in self.kwargs.items():
            if values.pop(name, in_path) != in_path:
                said = f"The address says '{in_path}'; leave it out here or say the same."
                raise InvalidArgument(field_errors={name: [said]})
        values.pop("organization_id", None)
        return values

    def _require_named_organization(self) -> None:
        """First of all, so that a stranger's body is told nothing else."""
        if "organization_id" in self.kwargs:
            return
        for spelling in ("organizationId", "organization_id"):
            named = self.payload.get(spelling)
            if isinstance(named, str):
                self.require_organization(named)

    def accepted(self, body: dict[str, Any], *, location: str, operation_id: str = "") -> Response:
        headers = {"Location": location}
        if operation_id:
            headers["Operation-Id"] = operation_id
        return Response(body, headers=headers)

    # -- the way through ---------------------------------------------------------------------------

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Response:
        self.args, self.kwargs, self.headers = args, kwargs, {"Cache-Control": "no-store"}
        self.request = self.initialize_request(request, *args, **kwargs)
        self.response = self.finalize_response(self.request, self._answered(), *args, **kwargs)
        return self.response

    def _answered(self) -> Response:
        changes = self.operation is not None and self.operation.changes
        try:
            self.initial(self.request, *self.args, **self.kwargs)
            self._read_request()
            key = self._idempotency_key()
            if not changes and key is None:
                return self._handled()
        except Exception as error:
            response = self.handle_exception(error)
            # Who asks is unknown where the database was away: asking again would wait again.
            is_known = not isinstance(error, DatabaseError) and self.request.auth is not None
            if changes and is_known:
                self._record_refused(response)
            return response
        return self._changed(key)

    def _read_request(self) -> None:
        """Before any transaction begins: a slow client must not hold one open."""
        self.asked = self._expected.query.read(_flat_query(self.request))
        self.payload = {} if self._method in READS_NO_BODY else read_object(self.request._request)

    def _idempotency_key(self) -> idempotency.Key | None:
        if self._method in READS_NO_BODY:
            return None
        organization_id = self.principal.organization_id
        return idempotency.key_of(self.request._request, organization_id, self.payload)

    def _prepared(self) -> None:
        try:
            self.prepare()
        except Exception as error:
            self.refused = error

    def _handled(self) -> Response:
        if self.refused is not None:
            raise self.refused
        handler: Callable[..., Response] = getattr(self, self._method.lower())
        return handler(self.request, *self.args, **self.kwargs)

    def _changed(self, key: idempotency.Key | None) -> Response:
        """What is done, the row that says so and the kept answer are committed together, or
        none of them is.
        """
        try:
            if key is not None:
                return key.answered_once(
                    self._attempt,
                    prepare=self._prepared,
                    require=self.require,
                    required=lambda: self.scopes_of_object,
                )
            self._prepared()
            with transaction.atomic():
                return self._attempt()
        except idempotency.RequestInProgress as error:
            return self.handle_exception(error)  # the first one leaves the row of history
        except RollbackWithResponse as undone:
            response = undone.response
        except Exception as error:
            response = self.handle_exception(error)
        self._record_refused(response)
        return response

    def _record_refused(self, response: Response) -> None:
        """A database that cannot take the row must not turn the refusal into another error."""
        try:
            self._record(response)
        except DatabaseError:
            logger.exception("No history was written of: %s", _detail(response))

    def _attempt(self) -> Response:
        try:
            with transaction.atomic():
                response = self._handled()
        except Exception as error:
            response = self.handle_exception(error)
        # A refusal for a missing scope must not answer a request that has it, and one for too many
        # requests must not answer a repetition that comes when it was asked for.
        if response.status_code >= 500 or response.status_code in (403, 429):
            raise RollbackWithResponse(response)
        self._record(response)
        return response

    def _record(self, response: Response) -> None:
        if not self._expected.changes:
            return
        audit.record(
            organization_id=self.principal.organization_id,
            principal=self.principal.label,
            action=self._expected.name,
            object_id=_storable(self.object_id or _last(self.kwargs)),
            source=source_of(self.request._request),
            interface=audit.Interface.API,
            outcome=_outcome(response),
            detail=_storable(_detail(response) or self.detail),
        )


def _flat_query(request: Request) -> dict[str, str]:
    """Each parameter once: a second value would be ignored without a word."""
    lists = dict(request.query_params.lists())
    twice = [name for name, values in lists.items() if len(values) > 1]
    if twice:
        raise ValidationError({name: ["Give it once."] for name in twice[:20]})
    return {name: values[0] for name, values in lists.items()}


def _last(kwargs: Mapping[str, str]) -> str:
    """The innermost thing that an address names: the task of a cluster's task."""
    return next(reversed(list(kwargs.values())), "")


def _outcome(response: Response) -> Outcome:
    if response.status_code < 400:
        return Outcome.ACCEPTED
    return Outcome.REFUSED if response.status_code < 500 else Outcome.FAILED


def _detail(response: Response) -> str:
    if response.status_code < 400:
        return str(response.get("Operation-Id", ""))
    said = response.data["response"]
    return f"{said['code']}: {said['message']}"


def _storable(text: str) -> str:
    return text.replace("\x00", "")
