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

from backups.archive.description import LoadDescription
from backups.milvus import create
from backups.milvus.client import Client
from backups.preflight import Step
from clusters.drivers.base import Guard


@dataclasses.dataclass(frozen=True, kw_only=True)
class Swap:
    """One collection on its way to its name."""

    step: Step
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
        meanwhile mean the restored collection from now on.
        """
        for alias in client.aliases(self.old) if client.has(self.old) else ():
            guard()
            client.alter_alias(alias, self.step.target)
        guard()
        client.drop(self.old)

    def take_name_away(self, client: Client, guard: Guard) -> None:
        """Undo, first half, for a swap that had begun: what stands under the name is ours where the
        hidden collection is gone. Once this is noted nobody touches what has the name any more.
        """
        if not client.has(self.hidden) and client.has(self.step.target):
            guard()
            client.rename(self.step.target, self.hidden)

    def give_back(self, client: Client, guard: Guard) -> None:
        """Undo, second half: the name and the aliases to what had them; nothing of ours stays."""
        if client.has(self.old):
            guard()
            client.rename(self.old, self.step.target)
        ours = client.aliases(self.hidden) if client.has(self.hidden) else ()
        for alias in set(self.step.aliases_before) & set(ours):
            guard()
            client.alter_alias(alias, self.step.target)
        guard()
        _drop(client, self.hidden)

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
