"""Whatever the embedded engine accepts is read as it was sent, and comes back bit for bit."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings

from tests.milvus.generated import Generated, collections, insert, requests
from tests.milvus.rooms import Room, by_partition, checksum, unused_name

MODERATE = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def fill(room: Room, generated: Generated) -> str:
    name = unused_name()
    room.tenant.create_collection(name, schema=generated.schema(room.tenant))
    room.tenant.create_partition(name, "other")
    for partition, rows in generated.partitions.items():
        for together in requests(rows):
            sent = [generated.sent(row) for row in together]
            insert(room.tenant, name, sent, partition_name=partition)
    return name


@given(generated=collections())
@MODERATE
def test_pinned_files_hold_what_was_sent_and_a_copy_holds_the_same(
    room: Room, generated: Generated
) -> None:
    name = fill(room, generated)
    (scan,) = room.pin(name)
    kept = generated.kept(scan.collection)
    expected = {partition: checksum([batch]) for partition, batch in kept.items()}
    assert by_partition(scan.batches()) == expected
    assert by_partition(room.pinned(room.copy(scan))) == expected


@given(generated=collections())
@MODERATE
def test_the_wire_gives_what_the_pinned_files_hold(room: Room, generated: Generated) -> None:
    name = fill(room, generated)
    assert by_partition(room.wire(name)) == by_partition(room.pinned(name))


@given(generated=collections())
@MODERATE
def test_the_pinned_description_is_that_of_the_wire(room: Room, generated: Generated) -> None:
    name = fill(room, generated)
    assert room.pin(name)[0].collection == room.describe(name)
