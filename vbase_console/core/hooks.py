"""Hooks that a lower layer calls and a higher app implements, without an import upwards.

A hook is declared as a function: its signature is the contract. A higher app registers an
implementation in its `AppConfig.ready`. Calls are synchronous, so an exception of an implementation
reaches the caller and rolls back its transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Generic, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Event(Generic[P]):
    """A hook with any number of implementations and no answer. All of them are called."""

    def __init__(self, declaration: Callable[P, None]) -> None:
        self._implementations: list[Callable[P, object]] = []
        update_wrapper(self, declaration)

    @property
    def is_implemented(self) -> bool:
        return bool(self._implementations)

    def register(self, implementation: Callable[P, object]) -> None:
        if implementation not in self._implementations:
            self._implementations.append(implementation)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        for implementation in self._implementations:
            implementation(*args, **kwargs)


class Query(Generic[P, R]):
    """A hook with an answer and one implementation. Without an implementation the body of the
    declaration answers.
    """

    def __init__(self, declaration: Callable[P, R]) -> None:
        self._answer = declaration
        self.is_implemented = False
        update_wrapper(self, declaration)

    def register(self, implementation: Callable[P, R]) -> None:
        self._answer, self.is_implemented = implementation, True

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._answer(*args, **kwargs)
