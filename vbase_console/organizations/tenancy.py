"""The one rule of visibility, and who it is asked for."""

from __future__ import annotations

import dataclasses
import uuid
from typing import Self, TypeVar

from django.db import models
from django.utils.text import get_text_list

from vbase_console.core.errors import NotFound, PermissionDenied
from vbase_console.organizations.scopes import ANY_MEMBER, roles_with

M_co = TypeVar("M_co", bound=models.Model, covariant=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Principal:
    """A person or an API key, acting for one organization."""

    organization_id: uuid.UUID
    label: str
    """How history names it: a person's e-mail address, or `key:` and the key's name."""
    scopes: frozenset[str]
    organization_name: str = ""
    """As addresses of pages name it. A key sees no page, and its calls would pay for the join."""
    user_id: int | None = None
    key_id: str | None = None

    def may(self, scope: str) -> bool:
        return scope == ANY_MEMBER or scope in self.scopes

    def require(self, scope: str) -> None:
        if not self.may(scope):
            raise PermissionDenied(self._lacking(scope))

    def _lacking(self, scope: str) -> str:
        """Keys have scopes; people have a role, and never see the scopes that it brings."""
        if self.user_id is None:
            return f"{self.label} lacks the scope {scope}; ask an owner for it."
        allowed = get_text_list(roles_with(scope), "and")
        return f"{self.label} may not do this; {allowed} may. Ask an owner for the role."


class TenantQuerySet(models.QuerySet[M_co]):
    """Rows that belong to an organization through their own `organization` key."""

    def visible_to(self, principal: Principal | None) -> Self:
        """The only place that decides which rows a principal may see."""
        if principal is None:
            return self.none()
        return self.filter(organization_id=principal.organization_id)

    def found(self, principal: Principal | None, called: str = "", **key: object) -> M_co:
        """The one visible row with this key; `NotFound`, the same for a stranger as for what
        never existed. The key begins with what the row itself is called by.
        """
        askable = all(is_storable(value) for value in key.values())
        row = only_row(self.visible_to(principal).filter(**key)) if askable else None
        if row is None:
            what = called or self.model._meta.verbose_name
            raise NotFound(f"There is no {what} '{next(iter(key.values()))}' here.")
        return row


def only_row(rows: models.QuerySet[M_co]) -> M_co | None:
    """The row of a query that finds at most one. `first` would have it sorted, which every request
    pays for.
    """
    return next(iter(rows.order_by()[:1]), None)


def is_storable(value: object) -> bool:
    """PostgreSQL keeps no NUL in a text nor searches for one: nothing has such a name."""
    return "\x00" not in str(value)
