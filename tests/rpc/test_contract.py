"""The proto files and the endpoints have the same operations."""

from __future__ import annotations

from tests.api.operations import served
from vbase_console.rpc.methods import unary_methods


def test_every_operation_has_the_rpc_of_its_name_and_route() -> None:
    rpcs = {(m.name, m.http_method, m.template) for m in unary_methods().values()}
    assert {(one.operation.name, one.method, one.path) for one in served()} == rpcs
