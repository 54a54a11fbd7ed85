"""A caller of the API, as short as a sentence: `api.post("/clusters", name="a")`."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from django.http import HttpResponse
from django.test import Client

PREFIX = "/v1/vbase"


@dataclasses.dataclass
class Said:
    """An answer, taken apart."""

    response: HttpResponse

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.response.content)
        return body

    @property
    def code(self) -> str:
        """The error's code; "" for a success."""
        return "" if self.status == 200 else self.body["response"]["code"]

    @property
    def field_errors(self) -> dict[str, list[str]]:
        errors: dict[str, list[str]] = self.body["response"]["fieldErrors"]
        return errors

    def __getitem__(self, name: str) -> Any:
        return self.body[name]

    def header(self, name: str) -> str | None:
        return self.response.headers.get(name)


@dataclasses.dataclass
class Api:
    key: str | None
    client: Client = dataclasses.field(
        default_factory=lambda: Client(raise_request_exception=False)
    )

    def get(self, path: str, **query: Any) -> Said:
        return self.send("GET", path, query=query)

    def post(self, path: str, /, **body: Any) -> Said:
        return self.send("POST", path, body=body)

    def patch(self, path: str, /, **body: Any) -> Said:
        return self.send("PATCH", path, body=body)

    def delete(self, path: str, **query: Any) -> Said:
        return self.send("DELETE", path, query=query)

    def raw(self, path: str, body: bytes | str, **extra: Any) -> Said:
        """Send this body, also one that is not JSON."""
        extra = {"content_type": "application/json"} | extra
        return self._sent("POST", path, data=body, **extra)

    def send(
        self,
        method: str,
        path: str,
        *,
        body: dict[str, Any] | None = None,
        query: dict[str, Any] | None = None,
        **headers: str,
    ) -> Said:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        data = json.dumps(body) if body is not None else ""
        return self._sent(
            method,
            path,
            data=data,
            content_type="application/json",
            query_params=query or {},
            headers=names,
        )

    def _sent(self, method: str, path: str, **extra: Any) -> Said:
        headers = dict(extra.pop("headers", {}))
        if self.key is not None:
            headers["Authorization"] = f"Bearer {self.key}"
        address = path if path.startswith("/v1/") else PREFIX + path
        return Said(self.client.generic(method, address, headers=headers, **extra))
