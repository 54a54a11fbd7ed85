"""Make every call under a deadline, and show the outcomes as tables."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc
from pymilvus import AsyncMilvusClient, MilvusException, connections

from tests.drivers.launched import Launched
from tests.sdk.calls import SURFACES, Call
from tests.sdk.stage import ALIAS, Stage

DOCUMENT = Path(__file__).parents[2] / "docs" / "sdk.md"
BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"
DEADLINE_SECONDS = 60
WORKS = "works"
HANGS = "hangs"
MISSING = "The SDK lacks this method. It calls what it does not have itself"


class Awaited:
    """An asynchronous client whose methods can be called from any thread."""

    def __init__(self, uri: str, token: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._client = self._run(self._connect(uri, token))

    @staticmethod
    async def _connect(uri: str, token: str) -> AsyncMilvusClient:
        return AsyncMilvusClient(uri=uri, token=token)

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            return self._run(self._call(getattr(self._client, name), arguments, options))

        return call

    @staticmethod
    async def _call(method: Any, arguments: Any, options: Any) -> Any:
        answer = method(*arguments, **options)
        if inspect.isasyncgen(answer):
            return [each async for each in answer]
        return await answer if inspect.isawaitable(answer) else answer

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(DEADLINE_SECONDS)

    def close_client(self) -> None:
        self._run(self._client.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DEADLINE_SECONDS)
        self._loop.close()


def public_methods(subject: Any) -> list[str]:
    """Names of the public methods and properties of a class, or functions of a module."""
    if isinstance(subject, ModuleType):
        own = [(n, f) for n, f in inspect.getmembers(subject, inspect.isfunction)]
        names = [name for name, function in own if function.__module__ == subject.__name__]
    else:
        names = [name for name, _ in inspect.getmembers(subject)]
    return [name for name in names if not name.startswith("_")]


def outcomes(stage: Stage) -> dict[str, dict[str, str]]:
    """Surfaces side by side, because calls of SDKs sleep between polls."""
    found: dict[str, dict[str, str]] = {surface: {} for surface in SURFACES}

    def walk(surface: str) -> None:
        subject, calls, make = SURFACES[surface]
        for name in public_methods(subject):
            found[surface][name] = outcome(calls[name], make, stage)

    walkers = [threading.Thread(target=walk, args=(surface,), daemon=True) for surface in SURFACES]
    for walker in walkers:
        walker.start()
    for walker in walkers:
        walker.join()
    return found


def outcome(call: Call, make: Any, stage: Stage) -> str:
    """`works`, `hangs`, or the words of the refusal."""
    said: list[str] = []
    thread = threading.Thread(
        target=lambda: said.append(_answer_of(call, make, stage)), daemon=True
    )
    thread.start()
    thread.join(DEADLINE_SECONDS)
    return said[0] if said else HANGS


def _answer_of(call: Call, make: Any, stage: Stage) -> str:
    try:
        answer = call(make(stage), stage)
    except MilvusException as error:
        return str(error.message)
    except grpc.RpcError as error:
        return str(error.details())  # type: ignore[attr-defined]
    except TimeoutError:
        return HANGS
    except AttributeError as error:
        if error.name and type(error.obj).__module__.startswith("pymilvus."):
            return f"{MISSING}: {error}."
        return f"{type(error).__name__}: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return WORKS if answer is True else f"answered {answer!r}"


@contextmanager
def staged(data_dir: Path) -> Iterator[Stage]:
    """A server of its own with everything that the calls act on."""
    server = Launched(data_dir).start()
    try:
        stage = Stage(server)
        stage.asynchronous = Awaited(stage.uri, stage.token)
        connections.connect(ALIAS, uri=stage.uri, token=stage.token)
        yield stage
        connections.disconnect(ALIAS)
        stage.asynchronous.close_client()
    finally:
        server.close()


def is_fine(text: str) -> bool:
    """A refusal is at least two sentences: the problem and the remedy."""
    return text == WORKS or (text.endswith(".") and ". " in text)


def document_with(found: dict[str, dict[str, str]]) -> str:
    """Return the document with the tables of these outcomes."""
    before, begin, rest = DOCUMENT.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    return f"{before}{begin}\n\n" + "\n".join(tables(found)) + f"\n\n{end}{after}"


def tables(found: dict[str, dict[str, str]]) -> Iterator[str]:
    """One Markdown table for each surface, refusals by number."""
    sentences = sorted({text for rows in found.values() for text in rows.values()} - {WORKS})
    for surface, rows in found.items():
        yield f"### {surface}\n"
        yield "| method | outcome |"
        yield "|---|---|"
        for name, text in sorted(rows.items()):
            shown = WORKS if text == WORKS else f"refused, [{sentences.index(text) + 1}](#refusals)"
            yield f"| `{name}` | {shown} |"
        yield ""
    yield "### Refusals\n"
    for number, text in enumerate(sentences, start=1):
        yield f"{number}. {text}"
