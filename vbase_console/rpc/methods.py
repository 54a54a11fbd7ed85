"""Methods of the gRPC services, read from the compiled proto files, with the endpoint of each.

The proto files are the only table of calls: the HTTP rule of a method names the route, and the URLs
of the console name the route's endpoint.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from django.urls import URLPattern, URLResolver, get_resolver
from google.api import annotations_pb2
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    field_mask_pb2,
    message_factory,
    struct_pb2,
    timestamp_pb2,
)
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message

from vbase_console.api.operations import Operation
from vbase_console.api.views import ApiView

PROTO = Path(__file__).parent / "proto"
PACKAGE = "dodil.vbase.v1"
SERVICES = (f"{PACKAGE}.VBaseService", f"{PACKAGE}.VBaseConsoleService")
IMPORTED = (annotations_pb2, field_mask_pb2, struct_pb2, timestamp_pb2)
"""Modules that register the files which ours import."""
VARIABLE = re.compile(r"\{(\w+)\}")
CONVERTER = re.compile(r"<(?:\w+:)?(\w+)>")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Method:
    """One unary method and the endpoint of its route."""

    descriptor: MethodDescriptor
    http_method: str
    template: str
    """Path with variables: /v1/vbase/clusters/{cluster_id}"""
    has_body: bool
    endpoint: type[ApiView]

    @property
    def name(self) -> str:
        return self.descriptor.name

    @property
    def path(self) -> str:
        """Path of the call: /package.Service/Method"""
        return f"/{self.descriptor.containing_service.full_name}/{self.name}"

    @property
    def operation(self) -> Operation:
        return self.endpoint.operations[self.http_method]

    @property
    def variables(self) -> list[str]:
        return VARIABLE.findall(self.template)

    @property
    def request(self) -> type[Message]:
        return message_factory.GetMessageClass(self.descriptor.input_type)

    def parse(self, data: bytes) -> Message | None:
        """Return the request, or None for bytes that are no message of its type. An exception would
        be logged by the library with a traceback, also for strangers.
        """
        try:
            return self.request.FromString(data)
        except DecodeError:
            return None

    @property
    def answer(self) -> type[Message]:
        return message_factory.GetMessageClass(self.descriptor.output_type)


@cache
def descriptors() -> dict[str, MethodDescriptor]:
    """Return the methods of both services by their paths, such as /package.Service/Method."""
    pool = descriptor_pool.Default()
    files = descriptor_pb2.FileDescriptorSet.FromString((PROTO / "descriptors.binpb").read_bytes())
    for file in files.file:
        pool.AddSerializedFile(file.SerializeToString())
    return {
        f"/{service}/{method.name}": method
        for service in SERVICES
        for method in pool.FindServiceByName(service).methods
    }


@cache
def unary_methods() -> dict[str, Method]:
    """Return the methods that have an HTTP rule. Raises LookupError for a rule without a route."""
    endpoints = {
        (http_method, template): view
        for template, view in _routes(get_resolver().url_patterns)
        for http_method in view.operations
    }
    return {
        path: _method(descriptor, endpoints)
        for path, descriptor in descriptors().items()
        if descriptor.GetOptions().HasExtension(annotations_pb2.http)
    }


def _method(
    descriptor: MethodDescriptor, endpoints: dict[tuple[str, str], type[ApiView]]
) -> Method:
    rule = descriptor.GetOptions().Extensions[annotations_pb2.http]
    verb = str(rule.WhichOneof("pattern"))
    route = verb.upper(), str(getattr(rule, verb))
    if route not in endpoints:
        raise LookupError(f"{descriptor.full_name}: no endpoint serves {' '.join(route)}.")
    return Method(
        descriptor=descriptor,
        http_method=route[0],
        template=route[1],
        has_body=rule.body == "*",
        endpoint=endpoints[route],
    )


def _routes(
    patterns: list[URLPattern | URLResolver], prefix: str = "/"
) -> Iterator[tuple[str, type[ApiView]]]:
    """Yield the path of each endpoint of the API, with variables as an HTTP rule writes them."""
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern.url_patterns, path)
            continue
        view = getattr(pattern.callback, "view_class", None)
        if isinstance(view, type) and issubclass(view, ApiView):
            yield CONVERTER.sub(r"{\1}", path), view
