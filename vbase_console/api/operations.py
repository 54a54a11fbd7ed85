"""Operations of the API as data for permissions, audit, idempotency and the OpenAPI document."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from vbase_console.api.serializers import Body, Input, Nothing, Output
from vbase_console.organizations.scopes import ANY_MEMBER


@dataclasses.dataclass(frozen=True, kw_only=True)
class Operation:
    name: str
    """Name of the RPC in the audit and in the OpenAPI document."""
    summary: str
    """Verb and object, for the OpenAPI document. Its description is the handler's docstring."""
    answer: type[Output]
    tag: str
    scope: str = ANY_MEMBER
    """Required scope; ANY_MEMBER accepts any key. A handler requires a scope that depends on the
    object by `OperationCall.require`.
    """
    scope_rule: str = ""
    """Rule for a scope that depends on the object, in words."""
    body: type[Input] = Body
    query: type[Input] = Nothing
    changes: bool = False
    """True if the operation changes rows: each call writes an audit row."""
    reveals: bool = False
    """True if a read reveals a secret or rows of a tenant: each answer writes an audit
    row, unlike a refusal, which reveals nothing.
    """
    media_type: str = ""
    """Media type of an answer that is no JSON. Such an operation has no gRPC call."""
    starts_task: bool = False
    """True if a task makes the change; `Operation-Id` is the task's id."""
    is_public: bool = False
    """True if the operation needs no key."""
    errors: tuple[int, ...] = ()
    """Error statuses in addition to those that the other fields imply."""
    request_example: Mapping[str, Any] | None = None
    more_request_examples: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    """Further bodies by their purpose."""
    answer_example: Mapping[str, Any] | None = None

    @property
    def scope_in_words(self) -> str:
        if self.is_public:
            return "none"
        return self.scope_rule or ("any key" if self.scope == ANY_MEMBER else self.scope)
