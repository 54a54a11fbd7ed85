"""One answer per `Idempotency-Key`: a repeated request gets the answer of the first one.

The key's row is written first, in the transaction that makes the change and keeps the answer. A
crash therefore leaves both or neither, and the database makes a second request with the same key
wait: for the row on PostgreSQL, for the write lock on SQLite.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import hmac
import json
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import QuerySet

from vbase_console.api.models import IdempotentAnswer, oldest_kept
from vbase_console.core.encryption import decrypt, derived_key, encrypt
from vbase_console.core.errors import Aborted, InvalidArgument

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
WAIT_SECONDS = 10
RETRY_AFTER_SECONDS = 2
OPERATION_ID = "Operation-Id"
KEPT_HEADERS = (OPERATION_ID, "Location", "Retry-After")
KEY = re.compile(r"[\x21-\x7e]{1,255}")
MAX_PATH_LENGTH = 500
LOCK_NOT_AVAILABLE = "55P03"
"""SQL state of PostgreSQL after a lock timeout."""


class RequestInProgress(Aborted):
    """A request with this Idempotency-Key, or another request that blocks all writes, is still
    being answered. Repeat the request in a moment.
    """

    def __init__(self) -> None:
        super().__init__(retry_after_seconds=RETRY_AFTER_SECONDS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    """HTTP status, which every error code has (`api.errors.STATUS_OF`)."""
    body: Any
    """JSON value."""
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Headers in HTTP, metadata in gRPC."""
    error: str = ""
    """Code and message of a refusal."""

    @property
    def operation_id(self) -> str:
        """Id of the task that the call started."""
        return self.headers.get(OPERATION_ID, "")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Key:
    """Identity of a request (organization, method, path, key) and fingerprint of its content."""

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

    def answer_once(
        self,
        begin: Callable[[], Callable[[], Answer]],
        *,
        require: Callable[[str], None],
        object_scopes: Callable[[], Iterable[str]],
    ) -> Answer:
        """Return the kept answer, or call the function that `begin` returns, and keep its answer.

        That function is called at most once per key. `begin` is called before the transaction, and
        twice if two requests come at the same time. A repeated request must have the
        `object_scopes` of the first one.
        """
        kept = self.rows().filter(created_at__gt=oldest_kept()).first()
        if kept is not None:
            return self._replay(kept, require)
        attempt = begin()
        with contextlib.ExitStack() as work:
            with _wait_seconds():
                work.enter_context(transaction.atomic())
                row, is_ours = self._reserve()
            if not is_ours:
                return self._replay(row, require)
            answer = attempt()
            _keep(row, answer, object_scopes())
            return answer

    def _reserve(self) -> tuple[IdempotentAnswer, bool]:
        """Return the key's row, and True if this request inserted the row."""
        self.rows().filter(created_at__lte=oldest_kept()).delete()
        try:
            with transaction.atomic():
                _execute(postgresql=f"SET LOCAL lock_timeout = '{WAIT_SECONDS}s'")
                row = IdempotentAnswer.objects.create(**dataclasses.asdict(self))
                _execute(postgresql="SET LOCAL lock_timeout TO DEFAULT")
                return row, True
        except IntegrityError:
            return self.rows().get(), False

    def _replay(self, row: IdempotentAnswer, require: Callable[[str], None]) -> Answer:
        for scope in row.scopes:
            require(scope)
        if row.fingerprint != self.fingerprint:
            raise InvalidArgument(
                f"This {HEADER} was used with another body. Use a new key for a new request."
            )
        if row.status is None:
            raise RequestInProgress
        body = json.loads(decrypt(row.body)) if row.body else None
        return Answer(status=row.status, body=body, headers=row.headers | {REPLAYED: "true"})


def key_for(
    text: str | None, *, organization_id: uuid.UUID, method: str, path: str, content: Any
) -> Key | None:
    """Return the key of a request, or None if the request has none.

    `content` is the parsed request as JSON: two spellings of the same content are the same request.
    """
    if text is None:
        return None
    if not KEY.fullmatch(text):
        raise InvalidArgument(f"{HEADER} must be 1 to 255 visible ASCII characters.")
    canonical = json.dumps(content, sort_keys=True).encode()
    # Keyed, because a request may contain a password, which a plain hash would let readers guess.
    fingerprint = hmac.new(derived_key("request fingerprint"), canonical, hashlib.sha256)
    return Key(
        organization_id=organization_id,
        method=method,
        path=path[:MAX_PATH_LENGTH],
        key=text,
        fingerprint=fingerprint.hexdigest(),
    )


def _keep(row: IdempotentAnswer, answer: Answer, scopes: Iterable[str]) -> None:
    row.status = answer.status
    row.headers = {name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers}
    # Encrypted, because an answer may contain an access token.
    row.body = encrypt(json.dumps(answer.body, cls=DjangoJSONEncoder))
    row.scopes = sorted(scopes)
    row.save(update_fields=["status", "headers", "body", "scopes"])


@contextlib.contextmanager
def _wait_seconds() -> Iterator[None]:
    """Wait at most `WAIT_SECONDS` for a request with the same key.

    SQLite waits for the write lock, which a transaction takes when it begins; PostgreSQL waits for
    the row.
    """
    usual = int(connection.settings_dict["OPTIONS"].get("timeout", WAIT_SECONDS) * 1000)
    try:
        _execute(sqlite=f"PRAGMA busy_timeout = {WAIT_SECONDS * 1000}")
        yield
    except OperationalError as error:
        # A lock of any request, because SQLite does not name the owner of its write lock.
        is_busy = str(getattr(error.__cause__, "sqlite_errorname", "")).startswith("SQLITE_BUSY")
        if not is_busy and getattr(error.__cause__, "sqlstate", None) != LOCK_NOT_AVAILABLE:
            raise
        raise RequestInProgress from error
    finally:
        _execute(sqlite=f"PRAGMA busy_timeout = {usual}")


def _execute(**statements: str) -> None:
    """Execute the statement of the database in use, if there is one."""
    if statement := statements.get(connection.vendor):
        with connection.cursor() as cursor:
            cursor.execute(statement)
