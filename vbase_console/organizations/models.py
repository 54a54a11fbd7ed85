from __future__ import annotations

import uuid

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from rest_framework_api_key.models import AbstractAPIKey, BaseAPIKeyManager

from vbase_console.core.labels import words_of_action, words_of_requester
from vbase_console.organizations.scopes import Role
from vbase_console.organizations.tenancy import TenantQuerySet

NAME = RegexValidator(
    r"^[a-z0-9][a-z0-9-]{0,62}\Z",
    "Use 1 to 63 lower-case letters, digits and dashes, a letter or digit first.",
)


class Organization(models.Model):
    """Tenant that owns clusters and backups. Pages use the name in addresses, the API the id."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=63, unique=True, validators=[NAME])
    members = models.ManyToManyField(
        settings.AUTH_USER_MODEL, through="Membership", related_name="organizations"
    )
    timezone = models.CharField(max_length=64, default="UTC")
    """Time zone of new policies."""
    is_demo = models.BooleanField(default=False)
    """True for sample data: changes are refused, and sweeps leave the organization out."""
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class OrganizationVersion(models.Model):
    """Number that is raised when something changes that a page shows; see `versions`.

    A row apart from the organization's, which requests lock.
    """

    organization = models.OneToOneField(
        Organization, primary_key=True, on_delete=models.CASCADE, related_name="version"
    )
    number = models.PositiveBigIntegerField(default=0)
    changed_at = models.DateTimeField()

    objects = TenantQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.organization_id}: {self.number}"


class Membership(models.Model):
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    role = models.CharField(max_length=16, choices=Role.choices)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantQuerySet.as_manager()

    class Meta:
        ordering = ["user__email", "pk"]
        verbose_name = "member"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "user"], name="membership_organization_user_unique"
            ),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="membership_role_check"),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.organization} as {self.role}"


class ApiKeyManager(BaseAPIKeyManager.from_queryset(TenantQuerySet)):  # type: ignore[misc]
    """Use the public prefix as primary key, because the library's own primary key contains the
    hash.
    """

    def assign_key(self, obj: AbstractAPIKey) -> str:
        text: str = super().assign_key(obj)
        obj.id = obj.prefix
        return text


class ApiKey(AbstractAPIKey):
    """API key of one organization, stored as a hash. The key itself is shown once."""

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="api_keys"
    )
    scopes = models.JSONField(default=list)
    created_by = models.CharField(max_length=254, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    objects = ApiKeyManager()  # type: ignore[misc]

    class Meta(AbstractAPIKey.Meta):
        verbose_name = "API key"
        verbose_name_plural = "API keys"


class Outcome(models.TextChoices):
    ACCEPTED = "ACCEPTED"
    REFUSED = "REFUSED"
    FAILED = "FAILED"


class AuditEntry(models.Model):
    """One mutating call. Rows are append-only; triggers reject updates and deletes.

    Principal and object are stored as text, so that entries outlive members, keys and clusters.
    """

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    at = models.DateTimeField(auto_now_add=True)
    principal = models.CharField(max_length=254)
    action = models.CharField(max_length=64)
    object_id = models.CharField(max_length=200, blank=True)
    source = models.GenericIPAddressField(null=True)
    interface = models.CharField(max_length=8)
    """Value of `audit.Interface`."""
    outcome = models.CharField(max_length=16, choices=Outcome.choices)
    detail = models.CharField(max_length=500, blank=True)
    """Operation id of an accepted call, or code and message of the error."""
    changes = models.JSONField(null=True)
    """Field → old and new value. Null: the call changed no field, or the row is older."""

    objects = TenantQuerySet.as_manager()

    class Meta:
        ordering = ["-at", "-pk"]
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["organization", "-at", "-id"], name="audit_newest_first"),
            models.Index(fields=["object_id", "-at", "-id"], name="audit_by_object"),
        ]

    def __str__(self) -> str:
        who, action = words_of_requester(self.principal), words_of_action(self.action)
        return f"{who}: {action} {self.object_id}".rstrip()
