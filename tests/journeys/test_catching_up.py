"""A console that was away when a policy was due makes up for it, once, when it is back."""

from __future__ import annotations

from pathlib import Path

from tests.live import Console, a_console, wait_for
from tests.vectors import store

AN_HOUR_AGO = (
    "from datetime import timedelta\n"
    "from django.utils import timezone\n"
    "from backups.models import BackupPolicy\n"
    "BackupPolicy.objects.update(next_run_at=timezone.now() - timedelta(hours=1))"
)
RUNS = (
    "from backups.models import PolicyRun\n"
    "print([(run.is_catch_up, run.status) for run in PolicyRun.objects.all()])"
)


def test_a_run_that_was_due_while_the_console_was_away_is_made_up_for_once(tmp_path: Path) -> None:
    with a_console(tmp_path / "data") as console:
        api = console.start().api()
        cluster = api.created("nightly")
        store(api.access(cluster), range(50))
        path = f"/{cluster['serviceId']}/backup/policy"
        policy = api.post(path, scheduleCron="@yearly", retentionCount=1)["policy"]
        console.stop()
        console.manage("shell", "-c", AN_HOUR_AGO)
        console.start()
        wait_for(lambda: api.get(f"{path}/{policy['policyId']}")["policy"]["lastStatus"] in ENDED)
        assert shown_runs(console) == "[(True, 'SUCCEEDED')]"
        (job,) = api.get(f"/{cluster['serviceId']}/backup")["jobs"]
        assert (job["policyId"], job["rowCount"]) == (policy["policyId"], 50)


ENDED = ("SUCCEEDED", "FAILED", "CANCELLED", "SKIPPED")


def shown_runs(console: Console) -> str:
    return console.manage("shell", "-c", RUNS).splitlines()[-1]
