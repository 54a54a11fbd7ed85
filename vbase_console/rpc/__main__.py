"""`python -m vbase_console.rpc`: the gRPC server, until SIGINT or SIGTERM."""

from __future__ import annotations

import asyncio
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vbase_console.settings.embedded")

import django


async def main() -> None:
    from django.conf import settings

    from vbase_console.rpc.server import Server

    await Server(f"{settings.GRPC_HOST}:{settings.GRPC_PORT}").run()


if __name__ == "__main__":
    django.setup()
    asyncio.run(main())
