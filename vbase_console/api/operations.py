"""What one method of one address is: its name, its scope, and what goes in and out. Permissions,
audit, idempotency and the OpenAPI document all read this.
"""

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
    """Any key may; or the object decides, and the view asks `principal.require`."""
    scope_rule: str = ""
    """How the object decides, in words."""
    body: type[Input] = Body
    query: type[Input] = Nothing
    changes: bool = False
    """It changes something: it leaves an audit row and may carry an `Idempotency-Key`."""
    starts_task: bool = False
    """What it changes is done by a task, which `Operation-Id` names."""
    is_public: bool = False
    """No key is asked for."""
    errors: tuple[int, ...] = ()
    """Statuses beyond those that its other properties imply."""
    request_example: Mapping[str, Any] | None = None
    answer_example: Mapping[str, Any] | None = None

    @property
    def scope_in_words(self) -> str:
        if self.is_public:
            return "none"
        return self.scope_rule or ("any key" if self.scope == ANY_MEMBER else self.scope)
