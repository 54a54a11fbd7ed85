"""Phase *swapping*: the restored collection takes its name, and the replaced one is dropped.

The checkpoint records only that a swap has started. The existing names show the next step:

    hidden   target   old        next step
    yes      before   no         rename target to old (if it is replaced), then hidden to target
    yes      no       yes        rename hidden to target
    no       new      yes or no  set the aliases, then drop old

A later attempt continues from any of these states. Undo has two halves with a checkpoint in
between, because after the first half a collection of the target's name is the tenant's.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator

from backups.archive.description import LoadDescription
from backups.milvus import create
from backups.milvus.client import Client
from backups.restore.preflight import CollectionPlan
from clusters.drivers.base import Guard
from clusters.milvus_names import MAX_NAME_BYTES, shortened

OLD_PREFIX = "_vbase_old_"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Swap:
    step: CollectionPlan
    hidden: str
    old: str

    def forward(self, client: Client, guard: Guard, load: LoadDescription) -> None:
        """Give the restored collection its name, load state and aliases."""
        if client.has(self.hidden):
            if self.step.replaces and not client.has(self.old):
                guard()
                client.rename(self.step.target, self.old)
            guard()
            client.rename(self.hidden, self.step.target)
        guard()
        create.load(client, self.step.target, load)
        for alias in self.step.aliases:
            guard()
            self._set_alias(client, alias)

    def finish(self, client: Client, guard: Guard) -> None:
        """Drop the replaced collection. This cannot be undone.

        Aliases that the replaced collection got during the restore move to the restored collection,
        unless the tenant has dropped that one.
        """
        inherited = client.has(self.old) and client.has(self.step.target)
        for alias in client.aliases(self.old) if inherited else ():
            guard()
            client.alter_alias(alias, self.step.target)
        guard()
        _drop(client, self.old)

    def undo_rename(self, client: Client, guard: Guard) -> None:
        """Undo a started swap, first half: rename the restored collection to its hidden name.

        The target is the restored collection if the hidden name does not exist. Once this half is
        recorded, a collection of the target's name is not touched any more.
        """
        if not client.has(self.hidden) and client.has(self.step.target):
            guard()
            client.rename(self.step.target, self.hidden)

    def restore_old_name(self, client: Client, guard: Guard, warn: Callable[[str], None]) -> None:
        """Undo, second half: return aliases and name to the old collection, drop the hidden one.

        Aliases are returned before the name, because a rename keeps them.
        """
        original = self.old if client.has(self.old) else self.step.target
        if client.has(self.hidden) and client.has(original):
            for alias in set(self.step.aliases_before) & set(client.aliases(self.hidden)):
                guard()
                client.alter_alias(alias, original)
        if client.has(self.old):
            name = self._name_for_the_old(client)
            if name != self.step.target:
                warn(
                    f"{self.step.target}: another client took this name during the restore. The "
                    f"previous collection is now called {name} and has all its rows."
                )
            guard()
            client.rename(self.old, name)
        guard()
        _drop(client, self.hidden)

    def _name_for_the_old(self, client: Client) -> str:
        tail = f"_before_{self.old.removeprefix(OLD_PREFIX)}"
        return next(
            name
            for name in itertools.chain([self.step.target], _names(self.step.target, tail))
            if not client.has(name)
        )

    def _set_alias(self, client: Client, alias: str) -> None:
        """Move an alias of the replaced collection. The server refuses aliases of other ones."""
        target = self.step.target
        if alias in self.step.aliases_before and client.has(alias):
            client.alter_alias(alias, target)
        elif alias in self.step.aliases_before or alias not in client.aliases(target):
            client.create_alias(alias, target)


def _names(name: str, tail: str) -> Iterator[str]:
    """Yield names with this tail, shortened to the maximum length."""
    for number in itertools.count(1):
        end = tail if number == 1 else f"{tail}_{number}"
        yield f"{shortened(name, MAX_NAME_BYTES - len(end.encode()))}{end}"


def _drop(client: Client, name: str) -> None:
    """Drop the aliases first, because a server may refuse to drop a collection with aliases."""
    if client.has(name):
        for alias in client.aliases(name):
            client.drop_alias(alias)
        client.drop(name)
