"""Backups of a Milvus that has no control service of ours: read over the wire, as of its timestamp
where it has one; and restores to it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymilvus import MilvusClient
from pymilvus.grpc_gen import common_pb2

from backups import archive_jobs
from backups.archive.codec import FormatError
from backups.archive.description import DataType, FieldDescription
from backups.archive.manifest import Manifest
from backups.archive.verify import findings
from backups.capture import job as capture_job
from backups.connections import connect, open_archive
from backups.milvus import keys, wire
from backups.milvus.schema import describe
from backups.models import Backup, BackupJob
from backups.services.backups import plan_backup
from backups.services.restores import plan_restore
from backups.stores.local import LocalStore
from clusters.drivers.base import Endpoint
from clusters.drivers.embedded.driver import EmbeddedDriver
from clusters.models import Cluster
from tests.backups.conftest import fill
from tests.backups.interruption import Dead, taken_over
from tests.milvus.front import Front, is_iterator, reads
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.errors import JobFailed
from vbase_console.tasks.worker import run_task

Work = Callable[[], int]
INSTANT = datetime(2026, 11, 23, 10, 20, 30, 456_000, tzinfo=UTC)
LATER = INSTANT + timedelta(minutes=5)
KEY = FieldDescription(name="id", data_type=DataType.INT64, is_primary_key=True)
ROWS = 100
AT_ONCE = 16
"""Rows in a page, and in a part."""
SEALED = 3
_BEFORE_A_PAGE = (*range(AT_ONCE, ROWS, AT_ONCE), ROWS)
PAGES = [keys.every(KEY), *(keys.after(KEY, rows - 1) for rows in _BEFORE_A_PAGE)]
"""Expressions of the requested pages; the last page is empty."""


def timestamp(instant: datetime) -> int:
    """As a full Milvus spells it: milliseconds, and a counter within them."""
    return (int(instant.timestamp() * 1000) << 18) + 7


@pytest.fixture
def front(
    cluster: Cluster, driver: EmbeddedDriver, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> Iterator[Front]:
    settings.LEASE_SECONDS = 60
    settings.BACKUP_CONNECTIONS = 1
    access = driver.console_access(cluster.cluster_id)
    assert access is not None
    with Front(f"{access.endpoint.host}:{access.endpoint.port}") as front:
        front.timestamp = timestamp(INSTANT)
        there = Endpoint(host="127.0.0.1", port=front.port)
        full = dataclasses.replace(access, endpoint=there, control=None)
        monkeypatch.setattr(driver, "console_access", lambda cluster_id: full)
        yield front


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    write = capture_job.write_parts
    monkeypatch.setattr(
        capture_job, "write_parts", lambda *a, **options: write(*a, **options, part_bytes=1)
    )
    for most in ("FIRST_PAGE_ROWS", "_MAX_ROWS"):
        monkeypatch.setattr(wire, most, AT_ONCE)


def asked(cluster: Cluster, front: Front, *names: str) -> BackupJob:
    job = plan_backup(cluster, collection_names=names).submit(by="alice")
    front.forget()
    return job


def backed_up(cluster: Cluster, front: Front, *names: str) -> BackupJob:
    job = asked(cluster, front, *names)
    run_task(job.task.task_id)
    return BackupJob.objects.select_related("task", "backup").get(pk=job.pk)


def pages_of(front: Front) -> list[str]:
    """Each once: the attempt that died has asked ahead, and the answer may still be under way."""
    return sorted({each.expr for each in front.queries if reads(each)}, key=PAGES.index)


def manifest_of(job: BackupJob) -> Manifest:
    return open_archive(Backup.objects.get(pk=job.backup_id)).manifest


# one instant


def test_every_query_of_every_collection_is_as_of_one_timestamp(
    cluster: Cluster, milvus: MilvusClient, front: Front
) -> None:
    for name in ("left", "right"):
        fill(milvus, name, rows=ROWS)
    job = backed_up(cluster, front, "left", "right")
    first, *others = front.queries
    assert (first.guarantee_timestamp, first.consistency_level) == (0, common_pb2.Strong)
    assert {each.guarantee_timestamp for each in others} == {front.timestamp}
    assert {each.consistency_level for each in others} == {common_pb2.Customized}
    assert {each.collection_name for each in others if reads(each)} == {"left", "right"}
    assert manifest_of(job).capture.method == "timestamp"


def test_its_time_is_that_of_the_timestamp(
    cluster: Cluster, milvus: MilvusClient, front: Front
) -> None:
    fill(milvus, rows=ROWS)
    job = backed_up(cluster, front, "images")
    assert datetime.fromisoformat(manifest_of(job).capture.captured_at) == INSTANT
    assert (job.backup.row_count, job.backup.omissions) == (ROWS, [])


def test_without_one_its_time_lies_before_the_first_row_that_was_read(
    cluster: Cluster, milvus: MilvusClient, front: Front
) -> None:
    front.timestamp = 0
    fill(milvus, rows=ROWS)
    before = datetime.now(UTC)
    job = backed_up(cluster, front, "images")
    capture = manifest_of(job).capture
    assert before < datetime.fromisoformat(capture.captured_at) < front.first_query_at
    assert capture.method == "none"
    assert job.backup.omissions == ["The rows are not from one instant."]


def test_an_alias_beside_what_it_means_is_one_collection(
    cluster: Cluster, milvus: MilvusClient, front: Front
) -> None:
    fill(milvus, rows=ROWS)
    milvus.create_alias("images", "pictures")
    job = backed_up(cluster, front, "pictures", "images")
    assert job.task.state == "SUCCEEDED", job.task.message
    assert [each["name"] for each in job.backup.collections] == ["images"]


def test_what_cannot_be_written_down_is_said_and_not_tried_again() -> None:
    with pytest.raises(JobFailed, match="twice") as caught, archive_jobs.translate_errors():
        raise FormatError("a collection stands in it twice")
    assert caught.value.permanent


# what the server counts


@pytest.mark.parametrize("instant", [INSTANT, None])
def test_rows_that_are_counted_and_given_to_nobody_are_said(
    instant: datetime | None, cluster: Cluster, milvus: MilvusClient, front: Front
) -> None:
    front.timestamp = timestamp(instant) if instant else 0
    fill(milvus, rows=ROWS)
    front.uncounted = 1
    job = backed_up(cluster, front, "images")
    said = "Collection images: the server counts 101 rows and returned 100."
    assert said in job.task.warnings
    assert said in manifest_of(job).capture.warnings
    assert job.backup.omissions == [said if instant else "The rows are not from one instant."]


def test_rows_that_expired_since_they_were_read_are_not_missing(
    cluster: Cluster, milvus: MilvusClient, front: Front
) -> None:
    fill(milvus, rows=ROWS)
    front.uncounted = -1
    job = backed_up(cluster, front, "images")
    assert "Collection images: the server counts 99 rows and returned 100." in job.task.warnings
    assert job.backup.omissions == []


def test_rows_that_the_server_loses_after_the_instant_are_missing(
    cluster: Cluster, milvus: MilvusClient, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a full Milvus does that compacts deleted rows away, which were visible at the instant."""
    fill(milvus, rows=ROWS)
    pin = capture_job.pin

    def pin_and_lose(*arguments: Any) -> Any:
        source = pin(*arguments)
        milvus.delete("images", filter="id < 10")
        return source

    monkeypatch.setattr(capture_job, "pin", pin_and_lose)
    job = backed_up(cluster, front, "images")
    said = "Collection images: the server counts 100 rows and returned 90."
    assert job.backup.omissions == [said]


# another attempt


def dies_after_some_parts(job: BackupJob, monkeypatch: pytest.MonkeyPatch) -> None:
    keep, kept = capture_job._record_part, []

    def keep_some(*arguments: Any) -> None:
        if len(kept) == SEALED:
            raise Dead
        kept.append(keep(*arguments))

    with monkeypatch.context() as patch:
        patch.setattr(capture_job, "_record_part", keep_some)
        with pytest.raises(Dead):
            run_task(job.task.task_id)


@pytest.mark.parametrize("instant", [INSTANT, None])
def test_another_attempt_reads_no_sealed_part_again(
    instant: datetime | None,
    cluster: Cluster,
    milvus: MilvusClient,
    front: Front,
    store: LocalStore,
    small_parts: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    front.timestamp = timestamp(instant) if instant else 0
    fill(milvus, rows=ROWS)
    dies_after_some_parts(job := asked(cluster, front, "images"), monkeypatch)
    front.forget()
    front.timestamp = timestamp(LATER) if instant else 0
    assert taken_over(job.task).state == "SUCCEEDED"
    assert pages_of(front) == PAGES[SEALED:]
    assert {each.guarantee_timestamp for each in front.queries} == {
        timestamp(INSTANT) if instant else 0
    }
    assert manifest_of(job).rows == ROWS
    assert findings(store, job.backup.directory) == []


def test_the_time_stays_that_of_the_first_attempt(
    cluster: Cluster,
    milvus: MilvusClient,
    front: Front,
    small_parts: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    front.timestamp = 0
    fill(milvus, rows=ROWS)
    dies_after_some_parts(job := asked(cluster, front, "images"), monkeypatch)
    between = datetime.now(UTC)
    taken_over(job.task)
    assert datetime.fromisoformat(manifest_of(job).capture.captured_at) < between


def timestamp_is_refused(front: Front) -> None:
    front.refused.add(timestamp(INSTANT))


def collection_is_another(front: Front) -> None:
    front.collection_id += 1


@pytest.mark.parametrize("happens", [timestamp_is_refused, collection_is_another])
def test_what_the_server_has_no_more_is_begun_anew(
    happens: Callable[[Front], None],
    cluster: Cluster,
    milvus: MilvusClient,
    front: Front,
    store: LocalStore,
    small_parts: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(milvus, rows=ROWS)
    dies_after_some_parts(job := asked(cluster, front, "images"), monkeypatch)
    front.forget()
    front.timestamp = timestamp(LATER)
    happens(front)
    assert taken_over(job.task).state == "SUCCEEDED"
    assert (pages_of(front), manifest_of(job).rows) == (PAGES, ROWS)
    assert datetime.fromisoformat(manifest_of(job).capture.captured_at) == LATER
    assert findings(store, job.backup.directory) == []


# several connections


@pytest.fixture
def several(settings: Any) -> int:
    settings.BACKUP_CONNECTIONS = 3
    return 3


def lists_keys(query: Any) -> bool:
    return list(query.output_fields) == ["id"] and is_iterator(query)


@pytest.mark.parametrize("instant", [INSTANT, None])
def test_several_connections_read_the_same_rows(
    instant: datetime | None,
    cluster: Cluster,
    milvus: MilvusClient,
    front: Front,
    small_parts: None,
    settings: Any,
) -> None:
    front.timestamp = timestamp(instant) if instant else 0
    fill(milvus, rows=ROWS)
    one = manifest_of(backed_up(cluster, front, "images")).collection("images")
    settings.BACKUP_CONNECTIONS = 3
    three = manifest_of(backed_up(cluster, front, "images")).collection("images")
    assert (three.rows, three.row_checksum) == (ROWS, one.row_checksum)
    assert any(map(lists_keys, front.queries))
    assert [part.sha256 for part in three.parts] == [part.sha256 for part in one.parts]


def test_keys_are_listed_as_of_the_timestamp_of_the_rows(
    cluster: Cluster, milvus: MilvusClient, front: Front, small_parts: None, several: int
) -> None:
    fill(milvus, rows=ROWS)
    backed_up(cluster, front, "images")
    listed = [query for query in front.queries[1:] if lists_keys(query)]
    assert {query.guarantee_timestamp for query in listed} == {front.timestamp}


@pytest.mark.parametrize("instant", [INSTANT, None])
def test_another_attempt_with_several_connections_reads_no_sealed_part_again(
    instant: datetime | None,
    cluster: Cluster,
    milvus: MilvusClient,
    front: Front,
    store: LocalStore,
    small_parts: None,
    several: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    front.timestamp = timestamp(instant) if instant else 0
    fill(milvus, rows=ROWS)
    dies_after_some_parts(job := asked(cluster, front, "images"), monkeypatch)
    last = json.loads(job.backup.sealed_parts.last().cursor)[1]
    front.forget()
    assert taken_over(job.task).state == "SUCCEEDED"
    assert not [each.expr for each in front.queries if keys.every(KEY) in each.expr]
    assert f"id > {last} and id <= " in min(
        (each.expr for each in front.queries if reads(each)), key=lambda text: int(text.split()[2])
    )
    assert manifest_of(job).rows == ROWS
    assert findings(store, job.backup.directory) == []


def test_a_job_goes_on_with_another_number_of_connections(
    cluster: Cluster,
    milvus: MilvusClient,
    front: Front,
    store: LocalStore,
    small_parts: None,
    several: int,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(milvus, rows=ROWS)
    dies_after_some_parts(job := asked(cluster, front, "images"), monkeypatch)
    settings.BACKUP_CONNECTIONS = 1
    assert taken_over(job.task).state == "SUCCEEDED"
    assert manifest_of(job).rows == ROWS
    assert findings(store, job.backup.directory) == []


# what is not loaded


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str, bool]]]:
    """Everything that is reported: phase, words, and whether the lock was held."""
    said: list[tuple[str, str, bool]] = []
    report = Attempt.report

    def noted(self: Attempt, percent: int, phase: str, message: str) -> None:
        held = type(self.task).objects.get(pk=self.task.pk).holds_lock
        said.append((phase, message, held))
        report(self, percent, phase, message)

    monkeypatch.setattr(Attempt, "report", noted)
    return said


def test_nobody_waits_while_a_collection_is_loaded_for_reading(
    cluster: Cluster, milvus: MilvusClient, front: Front, said: list[tuple[str, str, bool]]
) -> None:
    fill(milvus, rows=ROWS)
    milvus.release_collection("images")
    front.loaded = [40]
    job = backed_up(cluster, front, "images")
    assert (job.task.state, job.backup.row_count) == ("SUCCEEDED", ROWS)
    loading = "Temporary load of images: 40 percent."
    assert ("pinning", loading, False) in said
    assert said[0][2]


def test_it_is_released_again_and_the_job_names_it(
    cluster: Cluster, milvus: MilvusClient, front: Front
) -> None:
    for name in ("left", "right"):
        fill(milvus, name, rows=ROWS)
    milvus.release_collection("left")
    with connect(cluster, "default") as client:
        before = describe(client, "left")
        job = backed_up(cluster, front, "left", "right")
        assert describe(client, "left") == before
    assert manifest_of(job).collection("left").description == before
    (warning,) = [text for text in job.task.warnings if "released afterwards" in text]
    assert "left." in warning
    assert "right" not in warning


# restores


def test_indexes_that_are_built_before_rows_are_compared_are_counted(
    cluster: Cluster,
    milvus: MilvusClient,
    front: Front,
    said: list[tuple[str, str, bool]],
    work: Work,
) -> None:
    fill(milvus, rows=ROWS)
    backup = backed_up(cluster, front, "images").backup
    said.clear()
    front.indexed, front.loaded = [0.25, 0.75], [40]
    job = plan_restore(backup, cluster, on_conflict="RENAME", suffix="_b").submit(by="alice")
    work()
    job.task.refresh_from_db()
    assert job.task.state == "SUCCEEDED", job.task.message
    phases = [phase for phase, _, _ in said]
    before = [words for phase, words, _ in said[: phases.index("comparing")] if phase == "indexing"]
    assert before[:2] == ["Indexed 25 of 100 rows of images.", "Indexed 75 of 100 rows of images."]
    assert before[2] == "Loaded 40 percent of images."
