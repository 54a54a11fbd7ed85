"""Many clients, one key, a real server and a real database: exactly one cluster."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from pytest_django.live_server_helper import LiveServer

from clusters.models import Cluster
from vbase_console.api.models import IdempotentAnswer
from vbase_console.organizations.models import AuditEntry
from vbase_console.tasks.models import Task

CLIENTS = 32
POSTS = 100
# Otherwise the pool closes connections that are idle or too many, sometimes under a thread's hands.
KEPT = httpx.Limits(
    max_connections=CLIENTS, max_keepalive_connections=CLIENTS, keepalive_expiry=600
)


@pytest.mark.django_db(transaction=True)
def test_a_hundred_parallel_posts_with_one_key_make_one_cluster(
    live_server: LiveServer, api_key: str
) -> None:
    headers = {"Authorization": f"Bearer {api_key}", "Idempotency-Key": "once"}
    with (
        httpx.Client(base_url=live_server.url, headers=headers, timeout=120, limits=KEPT) as client,
        ThreadPoolExecutor(CLIENTS) as pool,
    ):
        posts = [
            pool.submit(client.post, "/v1/vbase/clusters", json={"name": "a"}) for _ in range(POSTS)
        ]
        answers = [post.result() for post in posts]
    accepted = [answer for answer in answers if answer.status_code == 200]
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert len({answer.headers["Operation-Id"] for answer in accepted}) == 1
    assert Cluster.objects.count() == Task.objects.count() == 1
    assert IdempotentAnswer.objects.count() == 1
    assert AuditEntry.objects.filter(outcome="ACCEPTED").count() == 1
