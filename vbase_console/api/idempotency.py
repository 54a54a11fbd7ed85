"""One answer per `Idempotency-Key`: whoever repeats a request gets the first one's answer, and the
work is done once.

The key's row is written first in the transaction that does the work and keeps the answer. A crash
at any point therefore leaves either all of it or nothing, and the database itself makes a second
request with the same key wait: for the row on PostgreSQL, for the write lock on SQLite.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.encoding import escape_uri_path
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder

from vbase_console.api.models import IdempotentAnswer, oldest_kept
from vbase_console.core.encryption import decrypt, encrypt
from vbase_console.core.errors import Aborted, InvalidArgument

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
WAIT_SECONDS = 10
RETRY_AFTER_SECONDS = 2
KEPT_HEADERS = ("Operation-Id", "Location", "Retry-After")
KEY = re.compile(r"[\x21-\x7e]{1,255}")
MAX_PATH_LENGTH = 500


class RequestInProgress(Aborted):
    """A request with this Idempotency-Key, or another one that keeps everybody from writing, is
    still being answered; repeat it in a moment.
    """

    def __init__(self) -> None:
        super().__init__(retry_after_seconds=RETRY_AFTER_SECONDS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Key:
    """A key and all that makes it this request's: organization, method and path; and what the
    request said.
    """

    organization_id: uuid.UUID
    method: str
    path: str
    key: str
    fingerprint: str

    def rows(self) -> QuerySet[IdempotentAnswer]:
        return IdempotentAnswer.objects.filter(
            organization_id=self.organization_id,
            method=self.method,
            path=self.path,
            key=self.key,
        )

    def answered_once(
        self,
        attempt: Callable[[], Response],
        *,
        prepare: Callable[[], None],
        require: Callable[[str], None],
        required: Callable[[], Iterable[str]],
    ) -> Response:
        """The answer that is kept, or that of `attempt`, which is called at most once per key.

        `prepare` is called before the transaction, perhaps by two who came at the same time. What
        the attempt `required` of whoever asked, a repetition has to `require`.
        """
        kept = self.rows().filter(created_at__gt=oldest_kept()).first()
        if kept is not None:
            return self._again(kept, require)
        prepare()
        with contextlib.ExitStack() as work:
            with _wait_seconds():
                work.enter_context(transaction.atomic())
                row, is_ours = self._reserved()
            if not is_ours:
                return self._again(row, require)
            response = attempt()
            _keep(row, response, required())
            return response

    def _reserved(self) -> tuple[IdempotentAnswer, bool]:
        """The key's row, and whether this request made it and so has the work to do."""
        self.rows().filter(created_at__lte=oldest_kept()).delete()
        try:
            with transaction.atomic():
                _execute(postgresql=f"SET LOCAL lock_timeout = '{WAIT_SECONDS}s'")
                row = IdempotentAnswer.objects.create(**dataclasses.asdict(self))
                _execute(postgresql="SET LOCAL lock_timeout TO DEFAULT")
                return row, True
        except IntegrityError:
            return self.rows().get(), False

    def _again(self, row: IdempotentAnswer, require: Callable[[str], None]) -> Response:
        for scope in row.scopes:
            require(scope)
        if row.fingerprint != self.fingerprint:
            raise InvalidArgument(
                f"This {HEADER} was used with another body; use a new one for a new request."
            )
        if row.status is None:
            raise RequestInProgress
        body = json.loads(decrypt(row.body)) if row.body else None
        return Response(body, status=row.status, headers=row.headers | {REPLAYED: "true"})


def key_of(request: HttpRequest, organization_id: uuid.UUID, body: dict[str, Any]) -> Key | None:
    text = request.headers.get(HEADER)
    if text is None:
        return None
    if not KEY.fullmatch(text):
        raise InvalidArgument(f"{HEADER} must be 1 to 255 visible ASCII characters.")
    return Key(
        organization_id=organization_id,
        method=str(request.method),
        path=escape_uri_path(request.path)[:MAX_PATH_LENGTH],
        key=text,
        fingerprint=_fingerprint(request, body),
    )


def _fingerprint(request: HttpRequest, body: dict[str, Any]) -> str:
    """Of what was understood, not of how it was written; the query is a part of what was said."""
    said = json.dumps([sorted(request.GET.lists()), body], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


def _keep(row: IdempotentAnswer, response: Response, scopes: Iterable[str]) -> None:
    row.status = response.status_code
    row.headers = {name: response[name] for name in KEPT_HEADERS if name in response}
    # Encrypted, because an answer may show an access token.
    row.body = encrypt(json.dumps(response.data, cls=JSONEncoder))
    row.scopes = sorted(scopes)
    row.save(update_fields=["status", "headers", "body", "scopes"])


@contextlib.contextmanager
def _wait_seconds() -> Iterator[None]:
    """Wait for whoever came first with the same key, but not for long: on SQLite for the write
    lock, which a transaction takes as it begins; on PostgreSQL for the row.
    """
    usual = int(connection.settings_dict["OPTIONS"].get("timeout", WAIT_SECONDS) * 1000)
    try:
        _execute(sqlite=f"PRAGMA busy_timeout = {WAIT_SECONDS * 1000}")
        yield
    except OperationalError as error:
        if not _is_a_lock_that_stayed(error):
            raise
        raise RequestInProgress from error
    finally:
        _execute(sqlite=f"PRAGMA busy_timeout = {usual}")


def _is_a_lock_that_stayed(error: OperationalError) -> bool:
    """SQLite shows nobody whose lock it is; to whoever asks, it is the same."""
    said = error.__cause__
    if connection.vendor == "sqlite":
        return str(getattr(said, "sqlite_errorname", "")).startswith("SQLITE_BUSY")
    return getattr(said, "sqlstate", None) == "55P03"


def _execute(**statements: str) -> None:
    """The statement for the database in use; none where there is none for it."""
    if statement := statements.get(connection.vendor):
        with connection.cursor() as cursor:
            cursor.execute(statement)
