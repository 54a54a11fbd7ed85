"""Every hook of backups and of policies has an implementation in the running console."""

from __future__ import annotations

import pytest

from backups import observers
from backups.policies import observers as policy_observers
from vbase_console.core.hooks import Event, Query

HOOKS = [
    hook
    for module in (observers, policy_observers)
    for hook in vars(module).values()
    if isinstance(hook, Event | Query)
]


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.__name__)
def test_a_hook_is_implemented(hook: Event[...] | Query[..., object]) -> None:
    assert hook.is_implemented


def test_no_hook_was_overlooked() -> None:
    assert len(HOOKS) == 16
