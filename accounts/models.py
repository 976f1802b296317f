"""Who acts, for whom, and what they did."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.core.validators import validate_slug
from django.db import models
from django.db.models import Q
from django.utils.timezone import now
from knox.models import AbstractAuthToken, AuthTokenManager

from accounts.roles import MAY, Permission, Role
from accounts.walls import TenantModel, TenantPolicy

INSTALLATION_SLUG = "installation"


class UserManager(BaseUserManager["User"]):
    def create_user(
        self, email: str, password: str | None = None, **fields: Any
    ) -> User:
        """Make a user who signs in with an e-mail address, whatever its case."""
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.full_clean(exclude=["password"])
        user.save(using=self._db)
        return user

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser):
    """A person. What they may do is a matter of their memberships, never of this row."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=200, blank=True)
    is_active = models.BooleanField(
        default=True, help_text="Untick instead of deleting: the trail names people."
    )

    date_joined = models.DateTimeField(default=now, editable=False)

    objects = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"

    def __str__(self) -> str:
        return self.name or self.email

    def clean(self) -> None:
        super().clean()
        self.email = self.email.strip().lower()

    def get_full_name(self) -> str:
        """What the console's corner calls the user; empty, it says the address."""
        return self.name

    @property
    def is_staff(self) -> bool:
        """The console is open to every active user; roles decide what is in it."""
        return self.is_active

    def has_perm(self, perm: str, obj: models.Model | None = None) -> bool:
        """Django's permissions are not used: `accounts.roles` is the only table."""
        return False

    def has_module_perms(self, app_label: str) -> bool:
        return False


class Organization(models.Model):
    """A tenant. Organizations are closed, never deleted: their trail must outlive them."""

    name = models.CharField(max_length=200, unique=True)
    slug = models.SlugField(max_length=50, unique=True, validators=[validate_slug])
    is_demo = models.BooleanField(default=False, editable=False)
    four_eyes = models.BooleanField(
        default=True,
        editable=False,
        help_text="Whether it takes two people to publish a policy.",
    )

    created_at = models.DateTimeField(default=now, editable=False)
    closed_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @classmethod
    def installation(cls) -> Organization:
        """Return the row that holds the trail of what belongs to no organization."""
        found, _ = cls.objects.get_or_create(
            slug=INSTALLATION_SLUG,
            defaults={"name": "(installation)", "closed_at": now()},
        )
        return found


class MembershipQuerySet(models.QuerySet["Membership"]):
    def active(self) -> Self:
        """Return the members whose accounts are open, with their users."""
        return self.filter(user__is_active=True).select_related("user")

    def who_may(self, permission: Permission) -> Self:
        """Return the active members whose role allows it."""
        return self.active().filter(role__in=MAY[permission])


class Membership(TenantModel):
    """A user's role in an organization."""

    user = models.ForeignKey(User, models.PROTECT, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role)

    created_at = models.DateTimeField("member since", default=now, editable=False)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        verbose_name = "member"
        ordering = ("user__email",)
        constraints = (
            TenantPolicy(name="tenant_accounts_membership", own_rows=True),
            models.UniqueConstraint(
                fields=["organization", "id"], name="key_accounts_membership"
            ),
            models.UniqueConstraint(
                fields=["organization", "user"],
                name="one_membership_per_user",
                violation_error_message="This person is a member already.",
            ),
            models.CheckConstraint(
                condition=Q(role__in=Role.values), name="membership_role_known"
            ),
        )

    def __str__(self) -> str:
        return f"{self.user}, {Role(self.role).label.lower()}"


class ApiToken(AbstractAuthToken):
    """A key to the API for one user in one organization; only its digest is kept.

    Not a tenant table: it is read to find out which organization a request is for.
    """

    user = models.ForeignKey(User, models.CASCADE, related_name="auth_token_set")
    organization = models.ForeignKey(
        Organization, models.PROTECT, related_name="+", editable=False
    )
    name = models.CharField(max_length=100, help_text="What uses it, such as “CI”.")

    told_once = ""  # the token itself, not persisted: whoever made it sees it once

    objects: ClassVar[AuthTokenManager[Self]] = AuthTokenManager()

    class Meta:
        verbose_name = "API token"
        ordering = ("created",)
        constraints = (
            models.UniqueConstraint(
                fields=["organization", "user", "name"], name="token_name_is_unique"
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.user})"

    def namesakes(self) -> models.QuerySet[ApiToken]:
        """Return the other tokens of this name: the user's, in this organization."""
        return ApiToken.objects.filter(
            organization_id=self.organization_id, user=self.user, name=self.name
        ).exclude(pk=self.pk)


class SavedViewQuerySet(models.QuerySet["SavedView"]):
    def visible_to(self, user: User | None) -> Self:
        """Return one's own views, and those that are shared."""
        return self.filter(Q(user=user) | Q(is_shared=True))


class SavedView(TenantModel):
    """A list as somebody narrowed it, under a name: for themselves, or for all members.

    `query` is what follows the ? of the list; `accounts.saved_views` sees to it that it
    holds filters of the list only.
    """

    list_name = models.CharField("list", max_length=40, editable=False)
    name = models.CharField(max_length=60)
    query = models.CharField("filters", max_length=500, editable=False)
    is_shared = models.BooleanField(
        "shared", default=False, help_text="All members of the organization see it."
    )

    user = models.ForeignKey(
        User, models.CASCADE, related_name="saved_views", editable=False
    )
    created_at = models.DateTimeField("saved", default=now, editable=False)

    objects = SavedViewQuerySet.as_manager()

    class Meta(TenantModel.Meta):
        ordering = ("list_name", "name", "id")
        constraints = (
            *TenantModel.Meta.constraints,
            models.UniqueConstraint(
                fields=["organization", "user", "list_name", "name"],
                name="saved_view_name_is_unique",
            ),
        )

    def __str__(self) -> str:
        return self.name


class AuditEvent(TenantModel):
    """One entry of an organization's trail. Triggers refuse UPDATE, DELETE, TRUNCATE.

    Written by `accounts.audit` only.
    """

    sequence = models.PositiveBigIntegerField("number")
    at = models.DateTimeField("time")
    actor = models.ForeignKey(
        User, models.PROTECT, null=True, blank=True, related_name="+"
    )
    actor_name = models.CharField(max_length=254)
    actor_role = models.CharField(max_length=20, blank=True)
    origin = models.CharField(max_length=20)
    request_id = models.CharField(max_length=64, blank=True)
    action = models.CharField(max_length=60)
    object_type = models.CharField(max_length=60, blank=True)
    object_id = models.CharField(max_length=64, blank=True)
    object_label = models.TextField(blank=True)
    changes = models.JSONField(default=dict, blank=True)
    reason = models.TextField(blank=True)

    format = models.PositiveSmallIntegerField()
    previous_digest = models.CharField(max_length=64)
    digest = models.CharField(max_length=64)
    key_id = models.CharField(max_length=12)
    signature = models.CharField(max_length=64)

    class Meta(TenantModel.Meta):
        ordering = ("-sequence",)
        constraints = (
            *TenantModel.Meta.constraints,
            models.UniqueConstraint(
                fields=["organization", "sequence"], name="audit_sequence_is_unique"
            ),
        )
        indexes = (
            models.Index(
                fields=["organization", "object_type", "object_id"],
                name="audit_by_object",
            ),
            models.Index(fields=["organization", "at"], name="audit_by_time"),
        )

    def __str__(self) -> str:
        return f"{self.sequence} {self.action}"


class AuditHead(TenantModel):
    """Where an organization's trail ends, signed: a trail cut short does not reach it.

    Written by `accounts.audit` only; a trigger lets it go forward, never back.
    """

    sequence = models.PositiveBigIntegerField()
    digest = models.CharField(max_length=64)
    key_id = models.CharField(max_length=12)
    signature = models.CharField(max_length=64)

    class Meta(TenantModel.Meta):
        constraints = (
            *TenantModel.Meta.constraints,
            models.UniqueConstraint(fields=["organization"], name="one_audit_head"),
        )

    def __str__(self) -> str:
        return f"entry {self.sequence}"
