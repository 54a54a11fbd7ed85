"""Type aliases of gRPC classes, which are generic only in the type stubs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import grpc

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
GenericHandler: TypeAlias = "grpc.GenericRpcHandler[Any, Any]"
Details: TypeAlias = grpc.HandlerCallDetails

if TYPE_CHECKING:
    Interceptor: TypeAlias = grpc.ServerInterceptor[Any, Any]
else:
    Interceptor = grpc.ServerInterceptor
