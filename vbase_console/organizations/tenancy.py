"""Principals and the rule which rows they may see."""

from __future__ import annotations

import dataclasses
import uuid
from datetime import datetime
from typing import Self, TypeVar

from django.db import models
from django.utils.text import get_text_list

from vbase_console.core.errors import NotFound, PermissionDenied
from vbase_console.organizations.scopes import ANY_MEMBER, roles_with

M_co = TypeVar("M_co", bound=models.Model, covariant=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Version:
    """Version of an organization; see `versions`."""

    number: int = 0
    is_settled: bool = True
    """False if data that is read now may miss a change that this number covers."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Principal:
    """User or API key that acts for one organization."""

    organization_id: uuid.UUID
    label: str
    """Name in audit entries: the e-mail of a user, or `key:` and the name of the key."""
    scopes: frozenset[str]
    organization_name: str = ""
    """Name in page addresses. Empty for keys, which open no pages, to save a join."""
    user_id: int | None = None
    """None for keys and for support staff during a visit, who are no members."""
    key_id: str | None = None
    is_demo: bool = False
    """True for a user in an organization with sample data."""
    visit_until: datetime | None = None
    """End of a read-only visit by support staff. None for members and keys."""
    session_hash: str = dataclasses.field(default="", repr=False)
    """For a user: the hash that the sessions of the present password carry."""
    version: Version = Version()
    """For a user: version of the organization when the principal was resolved, before its data."""

    def may(self, scope: str) -> bool:
        return scope == ANY_MEMBER or scope in self.scopes

    def require(self, scope: str) -> None:
        """Raises PermissionDenied. The message names the scope to keys, but the roles to users,
        because users never see scopes.
        """
        if self.may(scope):
            return
        if self.key_id is not None:
            raise PermissionDenied(
                f"The API key lacks the scope {scope}. Ask an owner for a key with this scope."
            )
        allowed = get_text_list(roles_with(scope), "and")
        if self.visit_until is not None:
            raise PermissionDenied(
                f"Support staff cannot read this, only {allowed} can. Ask one of them."
            )
        raise PermissionDenied(f"Only {allowed} can do this. Ask an owner for the role.")


class TenantQuerySet(models.QuerySet[M_co]):
    def visible_to(self, principal: Principal | None) -> Self:
        """Filter to the rows that a principal may see. No other code decides visibility."""
        if principal is None:
            return self.none()
        return self.filter(organization_id=principal.organization_id)

    def of_real_organizations(self) -> Self:
        """Leave out sample data, which no sweep may touch."""
        return self.filter(organization__is_demo=False)

    def get_visible(self, principal: Principal | None, noun: str = "", **key: object) -> M_co:
        """Return the visible row with this key.

        Raises NotFound with the same message for a missing row and for a row of another
        organization. The message names the first value of `key`.
        """
        is_valid = all(is_storable(value) for value in key.values())
        row = only_row(self.visible_to(principal).filter(**key)) if is_valid else None
        if row is None:
            noun = noun or str(self.model._meta.verbose_name)
            name = next(iter(key.values()))
            raise NotFound(f"{noun[:1].upper()}{noun[1:]} '{name}' not found.")
        return row


def only_row(rows: models.QuerySet[M_co]) -> M_co | None:
    """Return the only row of a query, or None. Unlike `first`, this does not sort."""
    return next(iter(rows.order_by()[:1]), None)


def is_storable(value: object) -> bool:
    """Return False for text with NUL, which PostgreSQL can neither store nor search for."""
    return "\x00" not in str(value)
