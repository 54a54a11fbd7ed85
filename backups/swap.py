"""The last part of a restore: what was filled takes its name, and what had the name goes.

Nothing is remembered of how far a swap came. Which of the three names exists says it:

    hidden   target   old        what is next
    yes      before   no         rename target to old (where it replaces), then hidden to target
    yes      no       yes        rename hidden to target
    no       new      yes or no  aliases, then the old may go

So an attempt that finds any of these goes on, and `undo` walks back from any of them.
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
            _point(client, alias, self.step.target)

    def finish(self, client: Client, guard: Guard) -> None:
        """What had the name goes; from here on there is no way back."""
        guard()
        client.drop(self.old)

    def undo(self, client: Client, guard: Guard, *, began: bool) -> None:
        """Give the name and the aliases back to what had them; leave nothing of ours.

        `began`: this swap was about to take the name. Only then can what stands under it be ours,
        and it is where the hidden collection is gone.
        """
        if client.has(self.old):
            self._give_back(client, guard)
        elif began and not client.has(self.hidden):
            guard()
            _drop(client, self.step.target)
        guard()
        _drop(client, self.hidden)

    def _take_name(self, client: Client, guard: Guard) -> None:
        if self.step.replaces and not client.has(self.old):
            guard()
            client.rename(self.step.target, self.old)
        guard()
        client.rename(self.hidden, self.step.target)

    def _give_back(self, client: Client, guard: Guard) -> None:
        if not client.has(self.hidden) and client.has(self.step.target):
            guard()
            client.rename(self.step.target, self.hidden)
        guard()
        client.rename(self.old, self.step.target)
        for alias in self.step.aliases_before:
            guard()
            _point(client, alias, self.step.target)


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
