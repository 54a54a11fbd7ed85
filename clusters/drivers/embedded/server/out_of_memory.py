"""Answer to a call that needs more memory than its cluster may use."""

from __future__ import annotations

import sys
from typing import Any

from milvus_lite.adapter.grpc import servicer
from pymilvus.grpc_gen import common_pb2

CODES = {"error_code": common_pb2.ErrorCode.MemoryQuotaExhausted, "code": 3}
"""3 is Milvus' code for a reached memory limit of a service."""


def reason_of(error: MemoryError) -> str:
    return (
        f"The call needs more memory than this cluster may use: {str(error) or 'out of memory'}. "
        "Request fewer vectors, rows or results at once."
    )


def install() -> None:
    """Let the engine's servicer answer a MemoryError with these codes and this reason."""
    servicer.common_pb2 = _Messages()


class _Messages:
    """`common_pb2` for the engine's servicer, which creates a status after it caught an error."""

    def __getattr__(self, name: str) -> Any:
        return getattr(common_pb2, name)

    @staticmethod
    def Status(**fields: Any) -> Any:  # noqa: N802
        error = sys.exc_info()[1]
        if isinstance(error, MemoryError):
            fields = {**CODES, "reason": reason_of(error)}
        return common_pb2.Status(**fields)
