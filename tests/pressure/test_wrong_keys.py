"""Wrong API keys against a real web of two processes."""

from __future__ import annotations

import httpx

from tests.live import Api, Console, wait_for
from vbase_console.supervisor.programs import WEB_WORKERS

LIMIT = 60


def test_they_are_limited_and_leave_a_trace_and_a_right_key_is_accepted(
    pressed: Console, api: Api
) -> None:
    headers = {"Authorization": "Bearer wrong.key"}
    with httpx.Client(base_url=pressed.url, headers=headers, timeout=60) as client:
        for _ in range(WEB_WORKERS * LIMIT + 1):
            answer = client.get("/v1/vbase/me")
    assert answer.status_code == 429
    assert api.get("/me")["organizationId"] == api.organization_id
    log = pressed.data_dir / "logs" / "web.log"
    wait_for(lambda: "127.0.0.1: more than 60 wrong API keys" in log.read_text())
