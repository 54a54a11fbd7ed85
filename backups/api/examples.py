"""Examples of the OpenAPI document. A test validates them against their schemas."""

from __future__ import annotations

from typing import Any

from clusters.api.examples import OK, ORGANIZATION, SERVICE

BACKUP = "default-20261122T091500Z-3fa9c1"
JOB = "job-6m1p9r3t7v2x5z8b"
SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

BACKUP_JOB: dict[str, Any] = {
    "jobId": JOB,
    "jobType": "BACKUP",
    "status": "PENDING",
    "progress": 0,
    "phase": None,
    "message": "Waiting for a worker.",
    "warnings": [],
    "serviceId": SERVICE,
    "organizationId": ORGANIZATION,
    "backupName": BACKUP,
    "dbName": "default",
    "collectionNames": ["images", "texts"],
    "rowCount": None,
    "sizeBytes": None,
    "policyId": None,
    "createdAt": "2026-11-22T09:15:00Z",
    "startedAt": None,
    "finishedAt": None,
    "backupDeletedAt": None,
    "backupDamaged": False,
}
DONE: dict[str, Any] = {
    "status": "SUCCEEDED",
    "progress": 100,
    "phase": "sealing",
    "message": "Writing the manifest.",
    "rowCount": 200_000,
    "sizeBytes": 104_857_600,
    "startedAt": "2026-11-22T09:15:01Z",
    "finishedAt": "2026-11-22T09:15:09Z",
}
EVENT: dict[str, Any] = {
    "at": "2026-11-22T09:15:03Z",
    "attempt": 1,
    "status": "RUNNING",
    "progress": 40,
    "phase": "copying",
    "message": "Copied 80000 of 200000 rows; collection 1 of 2 (images).",
}
CREATE_REQUEST: dict[str, Any] = {"dbName": "default", "collectionNames": ["images", "texts"]}
JOB_ANSWER: dict[str, Any] = {"job": BACKUP_JOB, "response": OK}
JOB_DETAIL_ANSWER: dict[str, Any] = {
    "job": BACKUP_JOB | DONE | {"events": [EVENT]},
    "response": OK,
}
JOBS_ANSWER: dict[str, Any] = {"jobs": [BACKUP_JOB | DONE], "total": 1, "response": OK}
LIST_REQUEST: dict[str, Any] = {"jobType": "BACKUP", "status": "FAILED", "pageSize": 100}

RESTORE_REQUEST: dict[str, Any] = {
    "backupName": BACKUP,
    "collectionNames": ["images"],
    "onConflict": "RENAME",
    "suffix": "_restored",
}
RESTORE_INTO_NEW_REQUEST: dict[str, Any] = {
    "backupName": BACKUP,
    "newCluster": {
        "name": "shop-search-copy",
        "resourceConfig": {"computeUnits": 2},
        "labels": {"env": "staging"},
    },
}
RESTORE_ANSWER: dict[str, Any] = {
    "job": BACKUP_JOB | {"jobType": "RESTORE", "collectionNames": ["images"]},
    "response": OK,
}
VERIFY_ANSWER: dict[str, Any] = {"job": BACKUP_JOB | {"jobType": "VERIFY"}, "response": OK}
DELETE_ANSWER: dict[str, Any] = {
    "success": True,
    "code": "OK",
    "message": f"{JOB} (DELETE) was accepted.",
}
DETAIL: dict[str, Any] = {
    "backupName": BACKUP,
    "backupId": "bak-8k2n5q1s4u7w0y3a",
    "serviceId": SERVICE,
    "organizationId": ORGANIZATION,
    "dbName": "default",
    "status": "AVAILABLE",
    "collections": [
        {"name": "images", "rowCount": 150_000, "sizeBytes": 78_643_200, "parts": 2}
        | {"aliases": ["pictures"]},
        {"name": "texts", "rowCount": 50_000, "sizeBytes": 26_214_400, "parts": 1, "aliases": []},
    ],
    "rowCount": 200_000,
    "sizeBytes": 104_857_600,
    "milvusVersion": "3.2.2",
    "policyId": None,
    "pinned": False,
    "held": False,
    "createdAt": "2026-11-22T09:15:00Z",
    "verifiedAt": "2026-11-22T10:00:00Z",
    "provenAt": None,
    "damaged": False,
    "damage": None,
    "hasAccessControl": False,
    "manifestSha256": SHA256,
    "location": f"{ORGANIZATION}/bak-8k2n5q1s4u7w0y3a",
}
BACKUP_ANSWER: dict[str, Any] = {"backup": DETAIL, "response": OK}
PIN_ANSWER: dict[str, Any] = {"backup": DETAIL | {"pinned": True}, "response": OK}
