"""Methods that an embedded cluster lacks are refused in words, at once."""

from __future__ import annotations

import threading

import grpc
import pytest
from google.protobuf.message_factory import GetMessageClass
from pymilvus import MilvusClient, MilvusException

from clusters.drivers.embedded.server.authentication import authorization
from clusters.drivers.embedded.server.refusals import METHODS, REFUSED, SERVICE, reason_for_refusing
from clusters.drivers.embedded.server.servicer import Servicer
from clusters.drivers.embedded.server.timestamps import HybridClock
from tests.drivers.launched import TOKEN, Launched, make_collection


def test_every_method_is_offered_or_refused_by_a_sentence_of_its_own() -> None:
    unwritten = [
        name for name in METHODS if reason_for_refusing(name, Servicer) and name not in REFUSED
    ]
    assert unwritten == []


def test_every_refusal_names_a_method_and_says_what_to_do() -> None:
    assert set(REFUSED) <= set(METHODS)
    assert all(
        len(sentence.split(". ")) > 1 and sentence.endswith(".") for sentence in REFUSED.values()
    )


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_it_is_refused_at_once(server: Launched, name: str) -> None:
    method = METHODS[name]
    request = GetMessageClass(method.input_type)().SerializeToString()
    answer = GetMessageClass(method.output_type)
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        path = f"/{SERVICE.full_name}/{name}"
        options = {"metadata": authorization(TOKEN), "timeout": 20}
        try:
            if method.client_streaming:
                said = list(channel.stream_stream(path)(iter([request]), **options))
            elif method.server_streaming:
                said = list(channel.unary_stream(path)(request, **options))
            else:
                said = [channel.unary_unary(path)(request, **options)]
        except grpc.RpcError as error:
            reason = error.details()  # type: ignore[attr-defined]
        else:
            reason = str(answer.FromString(said[0])).replace("\\'", "'")
    assert REFUSED[name] in reason


def test_the_sdk_shows_the_sentence(client: MilvusClient) -> None:
    with pytest.raises(MilvusException, match="Its token grants full access"):
        client.create_user("eve", "a password")


def test_timestamps_are_hybrid_and_only_rise(client: MilvusClient) -> None:
    handler = client._get_connection()
    first, second = handler.alloc_timestamp(), handler.alloc_timestamp()
    assert first < second
    assert (second >> 18) - (first >> 18) < 60_000


def test_timestamps_of_many_threads_are_all_different() -> None:
    clock = HybridClock()
    taken: list[int] = []
    threads = [
        threading.Thread(target=lambda: taken.extend(clock.next() for _ in range(500)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(taken)) == 2_000


def test_a_load_that_refreshes_ends(client: MilvusClient, collection: str) -> None:
    make_collection(client, collection, index="HNSW")
    client.load_collection(collection)
    client.refresh_load(collection)
    assert client.optimize(collection).status == "success"
