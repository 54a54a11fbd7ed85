"""Examples of the OpenAPI document. A test checks them against their schemas."""

from __future__ import annotations

from typing import Any

ORGANIZATION = "0b1e0d5c-6c5f-4b5e-9a51-3a4ad8c1f1f2"
SERVICE = "svc-7f3a9c2e5d1b8k4m"
CLUSTER = "vc-4h8s2v6x9q3t7w1z"
TASK = "task-2b5e8h1k4n7q0t3w"
OK = {"success": True}

SERVICE_INFO: dict[str, Any] = {
    "serviceId": SERVICE,
    "clusterId": CLUSTER,
    "organizationId": ORGANIZATION,
    "name": "product search",
    "serviceType": "CLUSTER",
    "serviceStatus": "CREATING",
    "statusMessage": None,
    "drn": f"drn:dodil:vbase:{SERVICE}",
    "version": "3.2.2",
    "labels": {"team": "search"},
    "deletionProtection": False,
    "createdAt": "2026-11-22T09:00:00Z",
    "updatedAt": "2026-11-22T09:00:00Z",
}
RUNNING = SERVICE_INFO | {"serviceStatus": "RUNNING", "updatedAt": "2026-11-22T09:00:07Z"}

CREATE_REQUEST: dict[str, Any] = {
    "name": "product search",
    "resourceConfig": {"computeUnits": 1},
    "labels": {"team": "search"},
}
CREATE_ANSWER: dict[str, Any] = {"cluster": SERVICE_INFO, "response": OK}

GET_ANSWER: dict[str, Any] = {
    "cluster": RUNNING,
    "configuration": {
        "resources": {
            "version": "3.2.2",
            "computeUnits": 1,
            "enableAutoScaling": False,
            "maxComputeUnits": 1,
            "enableReplicas": False,
            "replicas": 1,
        },
        "backup": {
            "policyCount": 0,
            "lastBackupAt": None,
            "lastProvenAt": None,
            "nextBackupAt": None,
        },
        "settings": {"driver": "embedded", "effectiveCores": 1, "availableVersions": ["3.2.2"]},
    },
    "response": OK,
}

ATTACH_REQUEST: dict[str, Any] = {
    "name": "product search",
    "endpoint": "milvus.example.com",
    "port": 19530,
    "tls": True,
    "token": "backup:the password of this user",
    "labels": {"team": "search"},
}
ATTACH_ANSWER: dict[str, Any] = {"cluster": SERVICE_INFO | {"version": None}, "response": OK}

SCALE_REQUEST: dict[str, Any] = {"resourceConfig": {"computeUnits": 2}}
UPDATE_REQUEST: dict[str, Any] = {"labels": {"team": "search"}, "deletionProtection": True}


def message(kind: str) -> dict[str, Any]:
    return {"success": True, "code": "OK", "message": f"{TASK} ({kind}) was accepted."}


SERVICE_TASK: dict[str, Any] = {
    "taskId": TASK,
    "serviceId": SERVICE,
    "clusterId": CLUSTER,
    "taskType": "SCALING",
    "status": "RUNNING",
    "progress": 40,
    "phase": "scaling",
    "message": "Giving it 2 cores.",
    "createdAt": "2026-11-22T09:10:00Z",
    "startedAt": "2026-11-22T09:10:01Z",
    "updatedAt": "2026-11-22T09:10:02Z",
    "finishedAt": None,
}
EVENT: dict[str, Any] = {
    "at": "2026-11-22T09:10:01Z",
    "attempt": 1,
    "status": "RUNNING",
    "progress": 0,
    "phase": None,
    "message": "Started.",
}
IN_PROGRESS_ANSWER: dict[str, Any] = {"tasks": [SERVICE_TASK], "response": OK}
HISTORY_ANSWER: dict[str, Any] = {"tasks": [SERVICE_TASK], "total": 1, "response": OK}
TASK_ANSWER: dict[str, Any] = {"task": SERVICE_TASK, "response": OK}
TASK_DETAIL_ANSWER: dict[str, Any] = {"task": SERVICE_TASK | {"events": [EVENT]}, "response": OK}

SERVICE_ANSWER: dict[str, Any] = {"service": RUNNING, "response": OK}
SERVICES_ANSWER: dict[str, Any] = {"services": [RUNNING], "total": 1, "response": OK}
ACCESS_ANSWER: dict[str, Any] = {
    "endpoint": "127.0.0.1",
    "port": 40123,
    "dbName": "default",
    "token": "vB3rYl0ngAndS3cr3tT0k3nForThe3xample",
    "response": OK,
}
METRICS_ANSWER: dict[str, Any] = {
    "series": [
        {
            "name": "cpu_cores",
            "unit": "cores",
            "points": [["2026-11-22T09:09:00Z", 0.25], ["2026-11-22T09:10:00Z", 0.5]],
        }
    ],
    "marks": [
        {
            "time": "2026-11-22T09:10:00Z",
            "kind": "SCALING",
            "taskId": TASK,
            "text": "Scaling: succeeded",
        }
    ],
    "response": OK,
}
