from __future__ import annotations

from functools import cached_property
from typing import Any

from django.core.paginator import Paginator
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from backups import observers
from backups.models import Backup
from backups.states import JobKind
from backups.views.presenters import (
    actions_of,
    collections_in,
    contents_of,
    damage_of,
    job_rows,
    jobs_of,
    unfinished_jobs,
)
from backups.views.story import story_of, timeline_of_job
from vbase_console.organizations.scopes import LIST_BACKUPS
from vbase_console.web.lists import PAGE_SIZE
from vbase_console.web.live import digest
from vbase_console.web.views import Page


class BackupPage(Page):
    scopes = {"GET": LIST_BACKUPS}
    nav = "backups"

    @cached_property
    def backup(self) -> Backup:
        backups = Backup.objects.present().select_related("cluster")
        return backups.get_visible(self.principal, name=self.kwargs["backup_name"])

    def context(self) -> dict[str, Any]:
        return {"backup": self.backup, "cluster": self.backup.cluster, "back": self.own_address}

    @property
    def own_address(self) -> str:
        return reverse("backup-detail", args=self.address)

    @property
    def address(self) -> list[str]:
        return [self.principal.organization_name, self.backup.name]

    def to_backup(self) -> HttpResponseBase:
        return redirect(self.own_address)


class BackupDetailView(BackupPage):
    template_name = "backups/backup_detail.html"

    def context(self) -> dict[str, Any]:
        """Read the archive first, because reading may record damage that the rest of the page
        shows.
        """
        contents = self.contents() if self.must_read_contents() else {}
        return super().context() | self.live() | contents | {"contents_mark": self.contents_mark}

    @property
    def contents_mark(self) -> str:
        return f"{self.backup.status} {self.backup.damage_text}"

    def must_read_contents(self) -> bool:
        """Return False if an open page has the contents, which do not change once sealed."""
        if self.live_parts is None or not self.live_parts.is_requested:
            return True
        return self.live_parts.known.get("backup-contents") != digest(self.contents_mark)

    def live(self) -> dict[str, Any]:
        """Values that change while a job runs. The page and the polled fragment share them."""
        active = job_rows(
            self.principal, unfinished_jobs(self.principal, subject_id=self.backup.pk)
        )
        made_by = jobs_of(self.principal).filter(backup=self.backup, job_type=JobKind.BACKUP)
        creation = made_by.first()
        return {
            "active": active,
            "made_by": creation,
            "timeline": creation and timeline_of_job(creation),
            "story": story_of(self.principal, self.backup),
            "actions": actions_of(self.principal, self.backup, active),
            "damage": damage_of(self.principal, self.backup),
            "retention": observers.retention_status_of(self.principal, self.backup),
            "reload": bool(active),
        }

    def contents(self) -> dict[str, Any]:
        contents = contents_of(self.principal, self.backup)
        if contents.problem:
            self.backup.refresh_from_db()
        collections = Paginator(collections_in(self.backup, contents), PAGE_SIZE)
        page = collections.get_page(self.request.GET.get("page"))
        return {"contents": contents, "rows": page}
