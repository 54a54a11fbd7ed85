r"""A cluster's life over gRPC, with a client that is generated from the published proto files.

Creates a cluster and watches its deployment, writes rows with the ordinary Milvus SDK, backs them
up, restores them under another name, and deletes the backup and the cluster.

    pip install grpcio grpcio-tools grpcio-status pymilvus
    VBASE_API_KEY=<key> python examples/grpc_client.py [--address 127.0.0.1:8001] [--ca FILE]

The proto files are in vbase_console/rpc/proto; --proto names another copy. For your own client,
generate the code once and keep it:

    python -m grpc_tools.protoc -I proto --python_out=. --grpc_python_out=. \
        common/msg_resp.proto dodil/vbase/v1/vbase.proto dodil/vbase/v1/console.proto
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from pymilvus import MilvusClient

PROTO = Path(__file__).parent.parent / "vbase_console" / "rpc" / "proto"
OWN = ("common/msg_resp.proto", "dodil/vbase/v1/vbase.proto", "dodil/vbase/v1/console.proto")
COLLECTION = "songs"
ROWS = [{"id": number, "vector": [number, 1.0], "title": f"song {number}"} for number in range(100)]
WATCH_SECONDS = 300


def generate(proto: Path) -> str:
    """Generate the client's modules in a temporary directory. Returns its path."""
    directory = tempfile.mkdtemp(prefix="vbase-grpc-")
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{proto}"]
    command += [f"--python_out={directory}", f"--grpc_python_out={directory}", *OWN]
    subprocess.run(command, check=True)  # noqa: S603 - the compiler of grpcio-tools
    return directory


class Console:
    """Both services of the console, with one key."""

    def __init__(self, channel: grpc.Channel, key: str, modules: str) -> None:
        sys.path.insert(0, modules)
        self.vbase = importlib.import_module("dodil.vbase.v1.vbase_pb2")
        self.console = importlib.import_module("dodil.vbase.v1.console_pb2")
        vbase = importlib.import_module("dodil.vbase.v1.vbase_pb2_grpc")
        console = importlib.import_module("dodil.vbase.v1.console_pb2_grpc")
        self._services = (vbase.VBaseServiceStub(channel), console.VBaseConsoleServiceStub(channel))
        self._key = ("authorization", f"Bearer {key}")

    def call(self, name: str, /, **fields: Any) -> tuple[Any, str]:
        """Return the answer and the id of the task that makes the change, if there is one.

        The idempotency key makes it safe to repeat a change whose answer was lost.
        """
        metadata = (self._key, ("idempotency-key", uuid.uuid4().hex))
        request, method = self._request(name, fields), self._method(name)
        answer, call = method.with_call(request, metadata=metadata, timeout=30, wait_for_ready=True)
        return answer, dict(call.initial_metadata()).get("operation-id", "")

    def follow(self, task_id: str) -> None:
        """Print each state of a task or a job until it has succeeded."""
        request = self._request("WatchTask", {"task_id": task_id})
        states = self._method("WatchTask")(request, metadata=[self._key], timeout=WATCH_SECONDS)
        status = ""
        for state in states:
            status = self.vbase.TaskStatus.Value.Name(state.status)
            print(f"  {status} {state.progress:3d} %  {state.message}")
        if status != "SUCCEEDED":
            sys.exit(f"{task_id} ended {status}.")

    def _method(self, name: str) -> Any:
        return next(getattr(stub, name) for stub in self._services if hasattr(stub, name))

    def _request(self, name: str, fields: dict[str, Any]) -> Any:
        kind = "HealthRequest" if name == "HealthCheck" else f"{name}Request"
        module = self.vbase if hasattr(self.vbase, kind) else self.console
        return getattr(module, kind)(**fields)


def explain(error: Any) -> str:
    """Return code and message of a refusal, and the fields that it names."""
    lines = [f"{error.code().name}: {error.details()}"]
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        bad_request = error_details_pb2.BadRequest()
        if detail.Unpack(bad_request):
            lines += [
                f"  {each.field}: {each.description}" for each in bad_request.field_violations
            ]
    return "\n".join(lines)


def live(console: Console) -> None:
    try:
        console.call("CreateCluster", name="songs", resource_config={"compute_units": 99})
    except grpc.RpcError as error:
        print(f"A refusal names the field.\n{explain(error)}")

    print("Create a cluster.")
    made, task_id = console.call("CreateCluster", name=f"songs {uuid.uuid4().hex[:6]}")
    cluster = made.cluster
    console.follow(task_id)
    print(f"Write {len(ROWS)} rows.")
    milvus = connect(console, cluster.service_id)
    milvus.create_collection(COLLECTION, dimension=2)
    milvus.insert(COLLECTION, ROWS)

    print("Back them up, and restore them under another name.")
    service = {"service_id": cluster.service_id}
    job = console.call("CreateBackup", **service, collection_names=[COLLECTION])[0].job
    console.follow(job.job_id)
    how = {"on_conflict": "RENAME", "suffix": "_restored"}
    _, restore = console.call("RestoreBackup", **service, backup_name=job.backup_name, **how)
    console.follow(restore)
    restored = milvus.query(f"{COLLECTION}_restored", output_fields=["count(*)"])
    print(f"{restored[0]['count(*)']} rows are restored.")
    milvus.close()

    print("Delete the backup and the cluster.")
    _, deletion = console.call("DeleteBackup", **service, backup_name=job.backup_name)
    console.follow(deletion)
    _, deletion = console.call("DeleteCluster", cluster_id=cluster.cluster_id)
    console.follow(deletion)


def connect(console: Console, service_id: str) -> MilvusClient:
    access, _ = console.call("GetServiceAccess", service_id=service_id)
    return MilvusClient(f"http://{access.endpoint}:{access.port}", token=access.token)


def open_channel(address: str, ca: Path | None) -> grpc.Channel:
    if ca is None:
        return grpc.insecure_channel(address)
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(ca.read_bytes()))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--address", default="127.0.0.1:8001")
    options.add_argument("--proto", type=Path, default=PROTO, help="directory of the proto files")
    options.add_argument("--ca", type=Path, help="certificate authority of a console with TLS")
    given = options.parse_args()
    key = os.environ.get("VBASE_API_KEY") or sys.exit("Set VBASE_API_KEY to an API key.")
    with open_channel(given.address, given.ca) as channel:
        try:
            live(Console(channel, key, generate(given.proto)))
        except grpc.RpcError as error:
            sys.exit(explain(error))
    print("Done.")


if __name__ == "__main__":
    main()
