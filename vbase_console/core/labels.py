"""Labels, values, actions and principals in words, for pages, the admin and audit entries."""

from __future__ import annotations

import re

LABELS = {
    "at": "time",
    "attempt_time": "time",
    "ca_certificate": "CA certificate",
    "collection_names": "collections",
    "complete_backup_count": "complete backups",
    "cpu_cores": "CPU cores",
    "cpu_seconds": "CPU seconds",
    "args": "arguments",
    "date_joined": "created",
    "db_name": "database",
    "enable_auto_scaling": "autoscaling",
    "enable_replicas": "read replicas",
    "failures_since_start": "failed attempts",
    "id_prefix": "prefix of the id",
    "interface": "source",
    "ip_address": "network address",
    "job_type": "kind",
    "is_demo": "sample data",
    "is_staff": "support staff",
    "locked_out": "locked",
    "last_login": "last sign-in",
    "logout_time": "signed out",
    "manifest_sha256": "SHA-256 of the manifest",
    "max_compute_units": "maximum units",
    "newest_complete_backup_at": "newest complete backup",
    "object_id": "object",
    "on_missing": "if a collection is missing",
    "origin_backup_id": "id in its first console",
    "origin_organization_id": "organization in its first console",
    "path_info": "page",
    "principal": "user or key",
    "proven_at": "restore-tested",
    "row_count": "rows",
    "schedule_cron": "schedule",
    "seen_at": "last seen",
    "source": "network address",
    "timezone": "time zone",
    "tls": "TLS",
    "username": "e-mail",
    "user_agent": "browser",
    "wanted_running": "should run",
}
"""Field → label, where the name of the field is not what people call it."""
KINDS_OF_REQUESTERS = {"key": "API key", "support": "support staff"}
"""Prefix of a label of a principal → noun before its name."""
WORDS_OF_ACTIONS = {
    "GetServiceAccess": "Read the token",
    "RotateServiceAccess": "Rotate the token",
    "GetClusterLog": "Read the log",
    "GoBackCluster": "Return to the earlier version",
    "IssueApiKey": "Issue API key",
    "RevokeApiKey": "Revoke API key",
    "VisitOrganization": "Begin support visit",
    "LeaveOrganization": "End support visit",
}
"""Actions of audit entries whose words differ from their names."""
CAPITAL = re.compile(r"(?<!^)[A-Z](?=[a-z])")
VALUES = {
    "on_missing": {"FAIL": "the run fails", "WARN": "the others are backed up"},
}
"""Field → words of its constants."""


def label_of(name: str) -> str:
    """Return the label of a field, without the parts of its name that tell its type."""
    if name in LABELS:
        return LABELS[name]
    for prefix in ("is_", "has_"):
        name = name.removeprefix(prefix)
    for suffix in ("_at", "_bytes"):
        name = name.removesuffix(suffix)
    return name.replace("_", " ")


def value_in_words(name: str, value: object) -> object:
    """Return the words of a constant, and any other value unchanged."""
    return VALUES.get(name, {}).get(value, value) if isinstance(value, str) else value


def words_of_requester(label: str) -> str:
    """Return "key:ci" as "API key ci". A policy and the console have no name of their own."""
    kind, separator, name = label.partition(":")
    if separator and kind in KINDS_OF_REQUESTERS:
        return f"{KINDS_OF_REQUESTERS[kind]} {name}"
    if kind == "policy":
        return "the policy"
    return "the console" if label in ("", "console") else label


def words_of_action(action: str) -> str:
    """Return UpdateOrganization as "Update organization"."""
    return WORDS_OF_ACTIONS.get(action) or CAPITAL.sub(r" \g<0>", action).capitalize()
