"""What goes in: one class per request, named as in the documented API."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field

from clusters.models import MAX_COMPUTE_UNITS
from clusters.resources import UNITS_RANGE
from clusters.states import ServiceStatus
from vbase_console.api.fields import Choice, Flag, Labels, QueryFlag, Text, WholeNumber
from vbase_console.api.paging import Paging
from vbase_console.api.serializers import Body, Input

UNITS: dict[str, Any] = {
    "required": False,
    "min_value": 1,
    "max_value": MAX_COMPUTE_UNITS,
    "error_messages": {"min_value": UNITS_RANGE, "max_value": UNITS_RANGE},
}
UNSPECIFIED = ("", "0", "UNSPECIFIED", "SERVICE_STATUS_UNSPECIFIED")
"""How generated clients say that they name no status."""


@extend_schema_field(
    {
        "type": "string",
        "pattern": r"^\s*[A-Za-z0-9._-]([A-Za-z0-9._ -]{0,61}[A-Za-z0-9._-])?\s*$",
        "description": "1 to 63 letters, digits, dots, underscores, spaces and dashes.",
    }
)
class Name(Text):
    """Checked where clusters are made; the pattern is for readers of the OpenAPI document."""


class ClusterResourceConfigRequest(Input):
    version = Text(required=False, help_text="One of GetCluster's availableVersions.")
    compute_units = WholeNumber(**UNITS, help_text="CPU cores; 1 unless named.")
    enable_auto_scaling = Flag(required=False)
    max_compute_units = WholeNumber(**UNITS, help_text="At least computeUnits.")
    enable_replicas = Flag(required=False)
    replicas = WholeNumber(required=False, min_value=1, help_text="Needs enableReplicas.")


class CreateClusterRequest(Body):
    name = Name()
    resource_config = ClusterResourceConfigRequest(required=False)
    labels = Labels(required=False)
    deletion_protection = Flag(required=False)


class ClusterRequest(Body):
    """A body of a request about one cluster, whose id the address has already."""

    cluster_id = Text(required=False, help_text="Left out: as in the address.")


class UpdateClusterRequest(ClusterRequest):
    name = Name(required=False)
    labels = Labels(required=False, help_text="All labels; those left out are removed.")
    deletion_protection = Flag(required=False)


class ScaleClusterRequest(ClusterRequest):
    resource_config = ClusterResourceConfigRequest(help_text="What is left out stays.")


class TaskBody(ClusterRequest):
    task_id = Text(required=False, help_text="Left out: as in the address.")


class ServiceRequest(Body):
    service_id = Text(required=False, help_text="Left out: as in the address.")


class DeleteClusterQuery(Input):
    delete_backups = QueryFlag(
        required=False, default=False, help_text="Also delete its backups; they stay otherwise."
    )


class ListServicesQuery(Paging):
    status_filter = Choice(
        ServiceStatus.values,
        unnamed=UNSPECIFIED,
        required=False,
        allow_blank=True,
        help_text="Only services in this status.",
    )
    include_deleted = QueryFlag(required=False, default=False)
