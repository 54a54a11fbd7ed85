"""Requests about clusters, named as in the documented API."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from clusters.metrics import WINDOWS
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
"""Values that generated clients send if they name no status."""


@extend_schema_field(
    {
        "type": "string",
        "pattern": r"^\s*[A-Za-z0-9._-]([A-Za-z0-9._ -]{0,61}[A-Za-z0-9._-])?\s*$",
        "description": "1 to 63 letters, digits, dots, underscores, spaces and dashes.",
    }
)
class Name(Text):
    """Name of a cluster. The services check it; the pattern is for the OpenAPI document."""


class ClusterResourceConfigRequest(Input):
    version = Text(required=False, help_text="One of GetCluster's availableVersions.")
    compute_units = WholeNumber(**UNITS, help_text="CPU cores. Default: 1.")
    enable_auto_scaling = Flag(required=False)
    max_compute_units = WholeNumber(**UNITS, help_text="At least computeUnits.")
    enable_replicas = Flag(required=False)
    replicas = WholeNumber(required=False, min_value=1, help_text="Requires enableReplicas.")


class CreateClusterRequest(Body):
    name = Name()
    resource_config = ClusterResourceConfigRequest(required=False)
    labels = Labels(required=False)
    deletion_protection = Flag(required=False)


PORT: dict[str, Any] = {"required": False, "min_value": 1, "max_value": 65535}


class AttachClusterRequest(Body):
    name = Name()
    endpoint = Text(help_text="A host name or an IP address, without scheme and port.")
    port = WholeNumber(**PORT, help_text="Default: 19530.")
    tls = Flag(required=False, help_text="Default: false.")
    ca_certificate = Text(
        required=False,
        allow_blank=True,
        help_text="PEM of the authority that signed the certificate. Default: the public ones.",
    )
    token = Text(
        required=False,
        allow_blank=True,
        help_text="`user:password` or an API key. Default: none, for a server without users.",
    )
    labels = Labels(required=False)
    deletion_protection = Flag(required=False)


class ClusterRequest(Body):
    """Body of a request about one cluster. The id is also in the URL."""

    cluster_id = Text(required=False, help_text="Default: the id in the URL.")


class UpdateClusterRequest(ClusterRequest):
    name = Name(required=False)
    labels = Labels(required=False, help_text="All labels. Labels that are left out are removed.")
    deletion_protection = Flag(required=False)
    endpoint = Text(required=False, help_text="Attached clusters only. Requires token.")
    port = WholeNumber(**PORT, help_text="Attached clusters only. Requires token.")
    tls = Flag(required=False, help_text="Attached clusters only. Requires token.")
    ca_certificate = Text(
        required=False, allow_blank=True, help_text="Attached clusters only. Requires token."
    )
    token = Text(required=False, allow_blank=True, help_text="Attached clusters only.")


class ScaleClusterRequest(ClusterRequest):
    resource_config = ClusterResourceConfigRequest(
        help_text="Fields that are left out do not change."
    )
    backup_first = Flag(
        required=False,
        help_text="Back up every database before a change of the version. Default: true.",
    )


class TaskBody(ClusterRequest):
    task_id = Text(required=False, help_text="Default: the id in the URL.")


class ServiceRequest(Body):
    service_id = Text(required=False, help_text="Default: the id in the URL.")


class DeleteClusterQuery(Input):
    delete_backups = QueryFlag(
        required=False,
        default=False,
        help_text="Also delete the backups of the cluster. Default: keep them.",
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


class Window(Text):
    def to_internal_value(self, data: Any) -> str:
        if data not in WINDOWS:
            raise serializers.ValidationError(f"Give one of {', '.join(WINDOWS)}.")
        return str(data)


class MetricsQuery(Input):
    window = Window(required=False, default="24h", help_text="1h, 24h, 7d or 30d. Default: 24h.")
