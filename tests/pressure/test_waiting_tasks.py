"""The limit of unfinished tasks with several web processes."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.live import Api, Console

CLIENTS = 32


def test_thirty_two_at_once_do_not_exceed_the_limit_of_a_cluster(
    pressed: Console, api: Api
) -> None:
    cluster = api.created("vectors")
    worker = pressed.leader("celery", "worker", "tasks")
    for process in (worker, *worker.children(recursive=True)):
        process.suspend()
    path = f"/clusters/{cluster['clusterId']}/restart"
    try:
        with ThreadPoolExecutor(CLIENTS) as pool:
            answers = list(pool.map(lambda _: _status(api.key, pressed, path), range(CLIENTS)))
        assert Counter(answers) == {200: 5, 429: CLIENTS - 5}
        assert len(api.in_progress(cluster)) == 5
    finally:
        for process in (worker, *worker.children(recursive=True)):
            process.resume()


def _status(key: str, console: Console, path: str) -> int:
    headers = {"Authorization": f"Bearer {key}"}
    url = f"{console.url}/v1/vbase{path}"
    return httpx.post(url, headers=headers, timeout=60).status_code
