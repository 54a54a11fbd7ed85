"""Calls of an interface that is neither HTTP nor DRF: audited, kept and repeated like others."""

from __future__ import annotations

import pytest
from django.db import OperationalError

from tests.api.client import Api
from vbase_console.api.calls import OperationCall, answer_call
from vbase_console.api.idempotency import REPLAYED, Answer, Key, key_for
from vbase_console.core.errors import ConsoleError, FailedPrecondition, PermissionDenied
from vbase_console.organizations.audit import Interface
from vbase_console.organizations.authentication import principal_of_key
from vbase_console.organizations.models import ApiKey, AuditEntry
from vbase_console.organizations.tenancy import Principal

pytestmark = pytest.mark.django_db

STATUS = {"FAILED_PRECONDITION": 400, "PERMISSION_DENIED": 403}


class Rpc:
    """An interface with one operation, which renames the caller's API key."""

    def __init__(self, principal: Principal, *, key: str | None = None) -> None:
        self.principal = principal
        self.key = self._key(key)
        self.prepared = 0
        self.error: Exception | None = None
        self.error_in_preparation: Exception | None = None

    def _key(self, text: str | None) -> Key | None:
        return key_for(
            text,
            organization_id=self.principal.organization_id,
            method="RPC",
            path="/vbase.v1.Keys/Rename",
            content={"name": "renamed"},
        )

    def send(self) -> Answer:
        call = OperationCall(
            principal=self.principal,
            action="RenameKey",
            interface=Interface.API,
            source="192.0.2.7",
            object_id="key-1",
        )
        return answer_call(
            call, self.key, prepare=self._prepare, handle=self._rename, refuse=self._refuse
        )

    def _prepare(self) -> None:
        self.prepared += 1
        if self.error_in_preparation is not None:
            raise self.error_in_preparation

    def _rename(self) -> Answer:
        ApiKey.objects.update(name="renamed")
        if self.error is not None:
            raise self.error
        return Answer(status=200, body={"ok": True}, headers={"Operation-Id": "task-1"})

    def _refuse(self, error: Exception) -> Answer:
        code = error.code if isinstance(error, ConsoleError) else "INTERNAL"
        return Answer(status=STATUS.get(code, 500), body={"code": code}, error=f"{code}: {error}")


@pytest.fixture
def rpc(api: Api) -> Rpc:
    return Rpc(principal_of_key(api.key))


def rows() -> list[tuple[str, str, str]]:
    entries = AuditEntry.objects.filter(action="RenameKey").order_by("at", "pk")
    return list(entries.values_list("object_id", "outcome", "detail"))


def is_renamed() -> bool:
    return ApiKey.objects.filter(name="renamed").exists()


def test_a_change_is_audited_with_the_id_of_its_task(rpc: Rpc) -> None:
    answer = rpc.send()
    assert (answer.operation_id, rpc.prepared) == ("task-1", 1)
    assert rows() == [("key-1", "ACCEPTED", "task-1")]


def test_a_refusal_is_audited_and_changes_nothing(rpc: Rpc) -> None:
    rpc.error = FailedPrecondition("not now")
    assert rpc.send().body == {"code": "FAILED_PRECONDITION"}
    assert rows() == [("key-1", "REFUSED", "FAILED_PRECONDITION: not now")]
    assert not is_renamed()


def test_a_failure_is_audited_and_changes_nothing(rpc: Rpc) -> None:
    rpc.error = OperationalError("disk I/O error")
    assert rpc.send().status == 500
    assert [outcome for _, outcome, _ in rows()] == ["FAILED"]
    assert not is_renamed()


def test_a_repeated_call_gets_the_kept_answer_and_leaves_no_second_row(api: Api) -> None:
    rpc = Rpc(principal_of_key(api.key), key="once")
    first, second = rpc.send(), rpc.send()
    assert (first.body, first.operation_id) == (second.body, second.operation_id)
    assert (REPLAYED in first.headers, REPLAYED in second.headers) == (False, True)
    assert (rpc.prepared, len(rows())) == (1, 1)


def test_a_refusal_of_the_preparation_is_kept(api: Api) -> None:
    rpc = Rpc(principal_of_key(api.key), key="once")
    rpc.error_in_preparation = FailedPrecondition("not now")
    rpc.send()
    rpc.error_in_preparation = None
    assert rpc.send().body == {"code": "FAILED_PRECONDITION"}
    assert not is_renamed()


def test_a_refusal_for_a_missing_scope_is_not_kept(api: Api) -> None:
    rpc = Rpc(principal_of_key(api.key), key="once")
    rpc.error = PermissionDenied()
    assert rpc.send().status == 403
    rpc.error = None
    assert rpc.send().status == 200
