"""Calls that change something, for every interface: one transaction, one audit row, one kept
answer.

An interface authenticates the caller, reads the request and passes three functions: one that
prepares the change, one that makes it, one that turns an exception into an answer.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable

from django.db import DatabaseError, transaction

from vbase_console.api.idempotency import Answer, Key, RequestInProgress
from vbase_console.organizations import audit
from vbase_console.organizations.demo import refuse_demo_of
from vbase_console.organizations.differences import noting
from vbase_console.organizations.models import Outcome
from vbase_console.organizations.tenancy import Principal

logger = logging.getLogger(__name__)

Handle = Callable[[], Answer]
Refuse = Callable[[Exception], Answer]


class RollbackWithAnswer(Exception):
    """Rolls the transaction of a call back; its answer is sent nevertheless."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


@dataclasses.dataclass(kw_only=True)
class OperationCall:
    principal: Principal
    action: str
    interface: audit.Interface
    source: str | None
    is_audited: bool = True
    object_id: str = ""
    """Id of the changed object: from the request, or set by the handler that creates the object."""
    detail: str = ""
    """Audit text of a change that starts no task."""
    object_scopes: frozenset[str] = frozenset()
    """Scopes that the object of the call needs beside the scope of the operation."""

    def require(self, scope: str) -> None:
        """Require a scope that depends on the object. A repeated request needs the scope, too."""
        self.object_scopes |= {scope}
        self.principal.require(scope)

    def record(self, answer: Answer) -> None:
        if not self.is_audited:
            return
        outcome = Outcome.ACCEPTED
        if answer.status >= 400:
            outcome = Outcome.REFUSED if answer.status < 500 else Outcome.FAILED
        audit.record(
            organization_id=self.principal.organization_id,
            principal=self.principal.label,
            action=self.action,
            object_id=self.object_id,
            source=self.source,
            interface=self.interface,
            outcome=outcome,
            detail=answer.error or answer.operation_id or self.detail,
        )

    def record_also(self, action: str, object_id: str) -> None:
        """Write the audit row of a further change that an accepted call makes."""
        audit.record(
            organization_id=self.principal.organization_id,
            principal=self.principal.label,
            action=action,
            object_id=object_id,
            source=self.source,
            interface=self.interface,
        )

    def record_refused(self, answer: Answer) -> None:
        """Write the audit row of a refused call. A database failure does not change the answer."""
        try:
            self.record(answer)
        except DatabaseError:
            logger.exception("%s: audit row not written: %s", self.action, answer.error)


def answer_call(
    call: OperationCall,
    key: Key | None,
    *,
    prepare: Callable[[], None],
    handle: Handle,
    refuse: Refuse,
) -> Answer:
    """Answer a call. Its change, its audit row and its kept answer are committed together.

    `prepare` runs before the transaction, so that a slow question to a cluster holds no lock. A
    repeated request gets the kept answer, and nothing runs.
    """

    def begin() -> Handle:
        failure: Exception | None = None
        try:
            if call.is_audited:
                refuse_demo_of(call.principal.organization_id)
            prepare()
        except Exception as error:
            failure = error  # refused in the transaction, so that the refusal is kept
        return lambda: _attempt(call, handle, refuse, failure)

    try:
        if key is not None:
            return key.answer_once(
                begin, require=call.require, object_scopes=lambda: call.object_scopes
            )
        attempt = begin()
        with transaction.atomic():
            return attempt()
    except RequestInProgress as error:
        return refuse(error)  # the audit row is written by the request in progress
    except RollbackWithAnswer as rollback:
        answer = rollback.answer
    except Exception as error:
        answer = refuse(error)
    call.record_refused(answer)
    return answer


@noting()
def _attempt(
    call: OperationCall, handle: Handle, refuse: Refuse, failure: Exception | None
) -> Answer:
    """Make the change and write its audit row. A `failure` of the preparation is refused."""
    try:
        if failure is not None:
            raise failure
        with transaction.atomic():
            answer = handle()
    except Exception as error:
        answer = refuse(error)
    # A refusal for a missing scope or for too many requests is not kept: the same request may
    # succeed later. Neither is an error of the console.
    if answer.status >= 500 or answer.status in (403, 429):
        raise RollbackWithAnswer(answer)
    call.record(answer)
    return answer
