"""`python -m vbase_console.rpc`: the gRPC server, until SIGINT or SIGTERM."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vbase_console.settings.embedded")

import django
from django.core.exceptions import ImproperlyConfigured

logger = logging.getLogger("vbase_console.rpc")


async def serve() -> None:
    from django.conf import settings

    from vbase_console.rpc.server import Server

    server = Server(settings.GRPC_HOST, settings.GRPC_PORT)
    gc.freeze()  # for the same reason as in vbase_console/wsgi.py
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, server.stop)
    await server.run()


def main() -> int:
    django.setup()
    try:
        asyncio.run(serve())
    except ImproperlyConfigured as error:
        logger.error("gRPC is not served: %s", error)
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    # Threads are not waited for. A call that is still executed there is rolled back, as by a crash.
    os._exit(code)
