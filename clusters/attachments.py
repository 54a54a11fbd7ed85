"""Stored connections of attached clusters, and the rules for their addresses."""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings

from clusters.drivers import ATTACHED
from clusters.drivers.base import Connection, DriverError, Resolve
from clusters.drivers.server_check import ServerUnreachable
from clusters.models import Cluster
from vbase_console.core.addresses import AddressError, AddressRules, Listener, NameNotResolved
from vbase_console.core.errors import FailedPrecondition
from vbase_console.core.listeners import console_listeners


class StoredAttachments:
    """Implements `clusters.drivers.base.Attachments`."""

    def connections(self, cluster_ids: Sequence[str]) -> dict[str, Connection | DriverError]:
        rows = Cluster.objects.alive().filter(driver=ATTACHED, cluster_id__in=cluster_ids)
        return {row.cluster_id: _connection_of(row) for row in rows}

    def resolver(self) -> Resolve:
        rules = attach_rules()

        def resolve(host: str, port: int) -> list[str]:
            try:
                return rules.check(host, port)
            except NameNotResolved as error:
                raise ServerUnreachable(str(error)) from error
            except AddressError as error:
                raise DriverError(str(error)) from error

        return resolve


def attach_rules() -> AddressRules:
    """Rules for addresses of attached clusters, with the ports that the console uses now."""
    return AddressRules(allowed=settings.ATTACH_NETWORKS, listeners=console_listeners())


def cluster_listeners() -> list[Listener]:
    """Addresses of the clusters that the console operates."""
    own = Cluster.objects.alive().exclude(driver=ATTACHED)
    return [
        Listener(host=host, port=port)
        for host, port in own.values_list("host", "port")
        if port is not None
    ]


def _connection_of(cluster: Cluster) -> Connection | DriverError:
    try:
        return cluster.connection
    except FailedPrecondition as error:
        return DriverError(error.message)
