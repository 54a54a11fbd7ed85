"""A Milvus server for one cluster: `python -m clusters.drivers.embedded.server.launcher --help`.

The fingerprints of the two credentials come as one line of JSON on standard input, so that no
argument, environment variable or file of the process holds anything secret.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from clusters.drivers.embedded.record import AlreadyRunning, ProcessRecord
from clusters.drivers.embedded.server.authentication import Credentials
from clusters.drivers.embedded.server.bounded_log import BoundedLogHandler
from clusters.drivers.embedded.server.confinement import UNCONFINED, confine_cluster
from clusters.drivers.embedded.server.cores import Cores
from clusters.drivers.embedded.server.protocol import leave_out_the_sdk
from clusters.drivers.sandbox.process import Confinement

logger = logging.getLogger("launcher")

EXIT_PORT_TAKEN = 3
EXIT_ALREADY_RUNNING = 4

_STACK_BYTES = 2 * 1024**2
"""The default of 8 MiB for each of the threads that calls may wait in would fill the memory limit,
which counts stacks as a whole.
"""


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="clusters.drivers.embedded.server.launcher", description=__doc__
    )
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--record-dir", type=Path, help="where its pid stands; default: the data's")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument(
        "--memory-bytes", type=int, help="most memory of its own; default: half of the machine's"
    )
    parser.add_argument(
        "--unconfined", action="store_true", help="for the comparison in benchmarks/confinement.py"
    )
    parser.add_argument(
        "--unsafe-without-locks",
        action="store_true",
        help="for the test that shows what the locks are good for: loses rows",
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    os.umask(0o077)
    options = parse_arguments(arguments)
    logging.basicConfig(level=logging.INFO, handlers=[BoundedLogHandler()])
    logging.getLogger("faiss").setLevel(logging.WARNING)
    cores = Cores(first=options.port)
    cores.use(options.cores)
    options.data_dir.mkdir(parents=True, exist_ok=True)
    try:
        record = ProcessRecord.claim(options.record_dir or options.data_dir, port=options.port)
    except AlreadyRunning as error:
        logger.error("%s", error)
        return EXIT_ALREADY_RUNNING
    with record:
        credentials = _credentials(sys.stdin.readline())
        return _serve(options, credentials, cores, _confine(options))


def _credentials(line: str) -> Credentials:
    try:
        given = json.loads(line)
        return Credentials(
            token_sha256=given["token_sha256"], control_sha256=given["control_sha256"]
        )
    except (ValueError, KeyError, TypeError) as error:
        raise SystemExit(
            "Standard input must begin with one line of JSON that has token_sha256 and "
            f"control_sha256: {error}"
        ) from error


def _confine(options: argparse.Namespace) -> Confinement:
    if options.unconfined:
        return UNCONFINED
    return confine_cluster(options.data_dir, port=options.port, memory_bytes=options.memory_bytes)


def _serve(
    options: argparse.Namespace,
    credentials: Credentials,
    cores: Cores,
    confinement: Confinement,
) -> int:
    # The engine takes its time to import and starts threads; by now the process is on record, on
    # its cores and confined.
    leave_out_the_sdk()
    threading.stack_size(_STACK_BYTES)
    from clusters.drivers.embedded.server.server import MilvusServer, PortTaken

    stopping = threading.Event()
    _stop_when_told(stopping)
    try:
        server = MilvusServer(
            options.data_dir,
            port=options.port,
            cores=cores,
            wanted_cores=options.cores,
            credentials=credentials,
            stopping=stopping,
            guarded=not options.unsafe_without_locks,
            confinement=confinement,
        )
    except PortTaken as error:
        logger.error("%s", error)
        return EXIT_PORT_TAKEN
    server.run()
    return 0


def _stop_when_told(stopping: threading.Event) -> None:
    """A handler would run in the main thread, which waits: a signal that comes while it is falling
    asleep does not wake it, and one that comes while it holds the event's own lock would have it
    wait for itself. The byte is written at once, whoever sleeps, and another thread reads it.
    """
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)

    def listen() -> None:
        os.read(told, 1)
        stopping.set()

    threading.Thread(target=listen, name="signals", daemon=True).start()


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    # Index builds that still run hold no row back, and Python would wait for their threads.
    os._exit(code)
