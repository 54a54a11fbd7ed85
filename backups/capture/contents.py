"""Columns of a backup's row that are copied from its manifest, for lists."""

from __future__ import annotations

from typing import Any

from backups.archive.manifest import Manifest


def content_columns(manifest: Manifest, sha256: str) -> dict[str, Any]:
    contents = [
        {
            "name": content.description.name,
            "rowCount": content.rows,
            "sizeBytes": content.bytes,
            "parts": len(content.parts),
            "aliases": list(content.description.aliases),
        }
        for content in manifest.collections
    ]
    return {
        "collections": contents,
        "row_count": manifest.rows,
        "size_bytes": manifest.bytes,
        "milvus_version": manifest.capture.milvus_version,
        "manifest_sha256": sha256,
        "has_access_control": manifest.access_control is not None,
        "warnings": list(manifest.capture.warnings),
    }
