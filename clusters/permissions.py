"""Which scope each kind of task needs; cancelling and retrying need the scope of what they are
about.
"""

from __future__ import annotations

from clusters.states import TaskKind
from vbase_console.organizations.scopes import CREATE_CLUSTER, DELETE_CLUSTER, SCALE_CLUSTER

SCOPE_OF_KIND: dict[TaskKind, str] = {
    TaskKind.DEPLOYMENT: CREATE_CLUSTER,
    TaskKind.SCALING: SCALE_CLUSTER,
    TaskKind.VERSION_UPGRADE: SCALE_CLUSTER,
    TaskKind.RESTART: SCALE_CLUSTER,
    TaskKind.STOP: SCALE_CLUSTER,
    TaskKind.START: SCALE_CLUSTER,
    TaskKind.DELETION: DELETE_CLUSTER,
}


def scope_of(kind: str) -> str:
    return SCOPE_OF_KIND[TaskKind(kind)]
