from __future__ import annotations

import pytest

from vbase_console.core.hooks import Event, Query


@Event
def changed(name: str) -> None:
    """A thing has changed."""


def test_an_event_without_an_implementation_does_nothing() -> None:
    Event(lambda name: None)("vectors")


def test_an_event_calls_every_implementation() -> None:
    event, called = Event(lambda name: None), []
    event.register(lambda name: called.append(f"first {name}"))
    event.register(lambda name: called.append(f"second {name}"))
    event("vectors")
    assert called == ["first vectors", "second vectors"]


def test_an_implementation_that_is_registered_twice_is_called_once() -> None:
    event, called = Event(lambda name: None), []
    event.register(called.append)
    event.register(called.append)
    event("vectors")
    assert called == ["vectors"]


def test_an_error_of_an_implementation_reaches_the_caller() -> None:
    def refuse(name: str) -> None:
        raise ValueError(name)

    event = Event(lambda name: None)
    event.register(refuse)
    with pytest.raises(ValueError, match="vectors"):
        event("vectors")


def test_a_query_without_an_implementation_is_answered_by_its_declaration() -> None:
    assert Query(lambda name: [])("vectors") == []


def test_a_query_is_answered_by_its_implementation() -> None:
    query = Query(lambda name: [])
    query.register(lambda name: [name])
    assert query("vectors") == ["vectors"]


def test_a_hook_keeps_the_docstring_of_its_declaration() -> None:
    assert changed.__doc__ == "A thing has changed."
