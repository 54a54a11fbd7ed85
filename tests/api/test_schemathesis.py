"""The console against its own description: whatever a generator thinks of, there is no error of
the console's own and no answer that the description does not know.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pytest_django.live_server_helper import LiveServer

from clusters.models import Cluster
from tests.api.operations import served

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
EXAMPLES = 3


@pytest.mark.django_db(transaction=True)
def test_no_request_breaks_it_or_is_answered_otherwise_than_described(
    live_server: LiveServer, api_key: str, tmp_path: Path
) -> None:
    program = Path(sys.executable).with_name("schemathesis")
    command = [program, "run", f"{live_server.url}/api/schema/", "--no-color"]
    command += ["-H", f"Authorization: Bearer {api_key}", "--checks", ",".join(CHECKS)]
    command += ["--max-examples", str(EXAMPLES), "--generation-deterministic"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=280)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"Tested: {len(served())}" in run.stdout
    assert Cluster.objects.exists()
