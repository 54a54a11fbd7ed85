"""Who did what: the audit rows of one organization."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from vbase_console.organizations.forms import ActivityFilter
from vbase_console.organizations.models import AuditEntry
from vbase_console.organizations.scopes import ANY_MEMBER
from vbase_console.pages.listing import ListPage


class ActivityListView(ListPage):
    scopes = {"GET": ANY_MEMBER}
    template_name = "organizations/activity_list.html"
    table_name = "organizations/partials/activity_table.html"
    filter_class = ActivityFilter
    nav = "activity"

    def rows(self) -> QuerySet[Any]:
        return AuditEntry.objects.visible_to(self.principal)
