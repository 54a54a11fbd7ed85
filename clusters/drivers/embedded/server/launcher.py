"""Entry point of a cluster's server: `python -m clusters.drivers.embedded.server.launcher --help`.

The fingerprints of the two credentials are read as one line of JSON from standard input, so that
arguments, environment and files of the process contain no secret.
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
from clusters.drivers.embedded.server.protocol import exclude_sdk
from clusters.drivers.sandbox.process import Confinement

logger = logging.getLogger("launcher")

EXIT_PORT_TAKEN = 3
EXIT_ALREADY_RUNNING = 4

_STACK_BYTES = 2 * 1024**2
"""Stack size of a thread. The default of 8 MiB would exceed the memory limit, which counts reserved
stacks.
"""


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="clusters.drivers.embedded.server.launcher", description=__doc__
    )
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument(
        "--record-dir",
        type=Path,
        help="directory of the process record; default: the data directory",
    )
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument(
        "--memory-bytes",
        type=int,
        help="limit of private memory; default: half of the machine's",
    )
    parser.add_argument(
        "--held",
        action="store_true",
        help="refuse writes of tenants until the console ends the hold",
    )
    parser.add_argument(
        "--unconfined",
        action="store_true",
        help="start unconfined, for benchmarks/confinement.py",
    )
    parser.add_argument(
        "--unsafe-without-locks",
        action="store_true",
        help="start without write locks, which loses rows; for a test",
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
        confinement = UNCONFINED
        if not options.unconfined:
            confinement = confine_cluster(
                options.data_dir, port=options.port, memory_bytes=options.memory_bytes
            )
        return _serve(options, credentials, cores, confinement)


def _credentials(line: str) -> Credentials:
    try:
        fingerprints = json.loads(line)
        return Credentials(
            token_sha256=fingerprints["token_sha256"],
            control_sha256=fingerprints["control_sha256"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise SystemExit(
            "Standard input must begin with one line of JSON that contains token_sha256 and "
            f"control_sha256: {error}"
        ) from error


def _serve(
    options: argparse.Namespace,
    credentials: Credentials,
    cores: Cores,
    confinement: Confinement,
) -> int:
    # The import of the engine is slow and starts threads. Before it the process is recorded, moved
    # to its cores and confined.
    exclude_sdk()
    threading.stack_size(_STACK_BYTES)
    from clusters.drivers.embedded.server.server import MilvusServer, PortTaken

    stopping = threading.Event()
    _stop_on_signals(stopping)
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
            held=options.held,
        )
    except PortTaken as error:
        logger.error("%s", error)
        return EXIT_PORT_TAKEN
    server.run()
    return 0


def _stop_on_signals(stopping: threading.Event) -> None:
    """Set the event on SIGTERM and SIGINT, through a pipe that another thread reads.

    A signal handler would run in the main thread, which waits for the event. A signal right before
    the wait would not end it, and a signal that interrupts `Event.wait` would deadlock on its lock.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)

    def listen() -> None:
        os.read(reader, 1)
        stopping.set()

    threading.Thread(target=listen, name="signals", daemon=True).start()


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    # Python would wait for the threads of running index builds, which contain no unsaved row.
    os._exit(code)
