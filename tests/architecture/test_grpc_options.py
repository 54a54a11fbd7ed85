"""gRPC ignores unknown option names, so the names are compared with its library."""

from __future__ import annotations

import re
from pathlib import Path

from django.conf import settings
from grpc._cython import cygrpc

NAME = re.compile(r'"(grpc\.[a-z0-9_.]+)"')


def test_the_library_contains_the_name_of_every_option() -> None:
    texts = [
        path.read_text()
        for folder in ("vbase_console", "clusters", "backups")
        for path in (settings.BASE_DIR / folder).rglob("*.py")
    ]
    names = {name for text in texts for name in NAME.findall(text)}
    library = Path(cygrpc.__file__).read_bytes()
    assert names
    assert [name for name in sorted(names) if name.encode() not in library] == []
