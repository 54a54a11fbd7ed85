"""The last part of a restore: what was filled takes its name, and what had the name goes.

Nothing is remembered of how far a swap came but that it began. Which of the three names exists
says it:

    hidden   target   old        what is next
    yes      before   no         rename target to old (where it replaces), then hidden to target
    yes      no       yes        rename hidden to target
    no       new      yes or no  aliases, then the old may go

So an attempt that finds any of these goes on. Walking back is done in two halves with a note in
between, because afterwards nothing tells our collection from one that its tenant makes meanwhile.
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
    """One collection on its way to its name."""

    step: CollectionPlan
    hidden: str
    old: str

    def forward(self, client: Client, guard: Guard, load: LoadDescription) -> None:
        """Until the restored collection answers under its name and its aliases mean it."""
        if client.has(self.hidden):
            self._take_name(client, guard)
        guard()
        create.load(client, self.step.target, load)
        for alias in self.step.aliases:
            guard()
            self._point(client, alias)

    def finish(self, client: Client, guard: Guard) -> None:
        """What had the name goes; from here on there is no way back. Aliases that somebody gave it
        meanwhile mean the restored collection from now on, unless that was dropped already.
        """
        inherited = client.has(self.old) and client.has(self.step.target)
        for alias in client.aliases(self.old) if inherited else ():
            guard()
            client.alter_alias(alias, self.step.target)
        guard()
        _drop(client, self.old)

    def undo_rename(self, client: Client, guard: Guard) -> None:
        """Undo, first half, for a swap that had begun: what stands under the name is ours where the
        hidden collection is gone. Once this is noted nobody touches what has the name any more.
        """
        if not client.has(self.hidden) and client.has(self.step.target):
            guard()
            client.rename(self.step.target, self.hidden)

    def restore_old_name(self, client: Client, guard: Guard, warn: Callable[[str], None]) -> None:
        """Undo, second half: the aliases and the name to what had them; nothing of ours stays."""
        self._give_aliases_back(client, guard)
        if client.has(self.old):
            name = self._name_for_the_old(client)
            if name != self.step.target:
                warn(_kept(self.step.target, name))
            guard()
            client.rename(self.old, name)
        guard()
        _drop(client, self.hidden)

    def _give_aliases_back(self, client: Client, guard: Guard) -> None:
        """Before its name: they go with it, whichever name that will be."""
        home = self.old if client.has(self.old) else self.step.target
        ours = client.aliases(self.hidden) if client.has(self.hidden) and client.has(home) else ()
        for alias in set(self.step.aliases_before) & set(ours):
            guard()
            client.alter_alias(alias, home)

    def _name_for_the_old(self, client: Client) -> str:
        """Its own; or one that its tenant sees, where somebody took the name while it was free."""
        tail = f"_before_{self.old.removeprefix(OLD_PREFIX)}"
        return next(
            name
            for name in itertools.chain([self.step.target], _names(self.step.target, tail))
            if not client.has(name)
        )

    def _take_name(self, client: Client, guard: Guard) -> None:
        if self.step.replaces and not client.has(self.old):
            guard()
            client.rename(self.step.target, self.old)
        guard()
        client.rename(self.hidden, self.step.target)

    def _point(self, client: Client, alias: str) -> None:
        """Only what had the name gives its aliases away; anybody else's alias is refused."""
        if alias in self.step.aliases_before:
            _point(client, alias, self.step.target)
        elif alias not in client.aliases(self.step.target):
            client.create_alias(alias, self.step.target)


def _names(name: str, tail: str) -> Iterator[str]:
    """All with this tail, however long the name is."""
    for number in itertools.count(1):
        end = tail if number == 1 else f"{tail}_{number}"
        yield f"{shortened(name, MAX_NAME_BYTES - len(end.encode()))}{end}"


def _kept(target: str, name: str) -> str:
    return (
        f"{target}: somebody else took this name while the restore was swapping, so what had it "
        f"before is called {name} now, with all its rows."
    )


def _drop(client: Client, name: str) -> None:
    """A collection with aliases may refuse to be dropped."""
    if client.has(name):
        for alias in client.aliases(name):
            client.drop_alias(alias)
        client.drop(name)


def _point(client: Client, alias: str, collection: str) -> None:
    if client.has(alias):
        client.alter_alias(alias, collection)
    else:
        client.create_alias(alias, collection)
