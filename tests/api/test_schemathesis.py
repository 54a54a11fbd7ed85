"""The running console against its own description: whatever a generator thinks of, there is no
error of the console's own and no answer that the description does not know.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.operations import served
from tests.live import Api, Console, a_console

# Left out is `positive_data_acceptance`: rules go beyond what a schema can say, such as a version
# that is not offered or an Idempotency-Key that was used with another body.
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
)
# Clusters of the memory driver run without a server that could be called, which is said with 503.
NO_SERVER_TO_CALL = """
[checks]
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", "503"]
"""
EXAMPLES = 3
MANY_EXAMPLES = 100


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """All of it is real but for the clusters: a generator makes more than a machine can hold."""
    directory = tmp_path_factory.mktemp("console") / "data"
    with a_console(directory, VBASE_CLUSTER_DRIVER="memory", VBASE_SWEEP_SECONDS="30") as own:
        yield own.start()


def explore(console: Console, examples: int, directory: Path, configuration: str = "") -> str:
    """Return the output of schemathesis, which must find no fault."""
    api = console.api()
    program = Path(sys.executable).with_name("schemathesis")
    command = [program, "run", f"{console.url}/api/schema/", "--no-color"]
    command += ["-H", f"Authorization: Bearer {api.key}", "--checks", ",".join(CHECKS)]
    command += ["--max-examples", str(examples), "--generation-deterministic"]
    (directory / "schemathesis.toml").write_text(configuration)
    run = subprocess.run(command, cwd=directory, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert clusters_made(api) > 0
    return run.stdout


def clusters_made(api: Api) -> int:
    return int(api.get(f"/list/{api.organization_id}?includeDeleted=true")["total"])


def test_no_request_breaks_it_or_is_answered_otherwise_than_described(
    console: Console, tmp_path: Path
) -> None:
    assert f"Tested: {len(served())}" in explore(console, EXAMPLES, tmp_path, NO_SERVER_TO_CALL)


@pytest.mark.torture
def test_nor_do_many_requests(console: Console, tmp_path: Path) -> None:
    assert f"Tested: {len(served())}" in explore(
        console, MANY_EXAMPLES, tmp_path, NO_SERVER_TO_CALL
    )
