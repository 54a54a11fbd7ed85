"""`python -m vbase_console.rpc`: the gRPC server, until SIGINT or SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import os
import signal

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vbase_console.settings.embedded")

import django


async def main() -> None:
    from django.conf import settings

    from vbase_console.rpc.server import Server

    server = Server(settings.GRPC_HOST, settings.GRPC_PORT)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, server.stop)
    await server.run()
    # Threads are not waited for: a call that is interrupted has changed nothing.
    logging.shutdown()
    os._exit(0)


if __name__ == "__main__":
    django.setup()
    asyncio.run(main())
