"""The walls between organizations, as constraints that every model shows in its Meta.

PostgreSQL enforces them: a forgotten filter answers with nothing instead of with
somebody else's rows. `makemigrations` finds these constraints like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from django.db import models
from django.db.models.constraints import BaseConstraint
from simple_history.models import HistoricalRecords

from accounts import tenancy

if TYPE_CHECKING:
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor

    from accounts.models import User

_ST = TypeVar("_ST")
_GT = TypeVar("_GT")

MINE = "organization_id = nullif(current_setting('app.organization', true), '')::bigint"
MYSELF = "user_id = nullif(current_setting('app.user', true), '')::bigint"


class _SqlConstraint(BaseConstraint):
    """A constraint that is nothing but SQL: the database validates it, forms do not."""

    def constraint_sql(
        self,
        model: type[models.Model] | None,
        schema_editor: BaseDatabaseSchemaEditor | None,
    ) -> str:
        """Run after CREATE TABLE, which cannot hold these statements."""
        assert model is not None  # noqa: S101 - Django's annotation is wider than its use
        assert schema_editor is not None  # noqa: S101
        schema_editor.deferred_sql.append(self.create_sql(model, schema_editor))
        return ""

    def validate(self, *args: Any, **kwargs: Any) -> None:
        """Leave it to the database, which no code path can go around."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _SqlConstraint):
            return NotImplemented
        return self.deconstruct() == other.deconstruct()

    def __hash__(self) -> int:
        return hash((type(self), self.name))


class TenantPolicy(_SqlConstraint):
    """Rows are visible and writable only for the organization `acting_for` entered.

    With `own_rows` a row is also visible, not writable, to the user it is about:
    somebody who signs in has to find their memberships before any organization
    is entered.
    """

    def __init__(self, *, name: str, own_rows: bool = False) -> None:
        super().__init__(name=name)
        self.own_rows = own_rows

    def create_sql(
        self,
        model: type[models.Model] | None,
        schema_editor: BaseDatabaseSchemaEditor | None,
    ) -> str:
        assert model is not None  # noqa: S101
        assert schema_editor is not None  # noqa: S101
        table = schema_editor.quote_name(model._meta.db_table)
        policy = schema_editor.quote_name(self.name)
        sql = (
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; "
            f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY; "
            f"CREATE POLICY {policy} ON {table} USING ({MINE}) WITH CHECK ({MINE})"
        )
        if self.own_rows:
            own = schema_editor.quote_name(f"{self.name}_own")
            sql += f"; CREATE POLICY {own} ON {table} FOR SELECT USING ({MYSELF})"
        return sql

    def remove_sql(
        self,
        model: type[models.Model] | None,
        schema_editor: BaseDatabaseSchemaEditor | None,
    ) -> str:
        assert model is not None  # noqa: S101
        assert schema_editor is not None  # noqa: S101
        table = schema_editor.quote_name(model._meta.db_table)
        policy = schema_editor.quote_name(self.name)
        own = schema_editor.quote_name(f"{self.name}_own")
        return (
            f"DROP POLICY IF EXISTS {own} ON {table}; DROP POLICY {policy} ON {table}; "
            f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY; "
            f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY"
        )

    def deconstruct(self) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        path, args, kwargs = super().deconstruct()
        if self.own_rows:
            kwargs["own_rows"] = True
        return path, tuple(args), dict(kwargs)


class SameOrganization(_SqlConstraint):
    """The row that `field` points to belongs to the same organization.

    PostgreSQL checks foreign keys without row-level security: a plain key could
    point into another organization. Hence a second key over both columns.
    """

    def __init__(self, *, field: str, name: str) -> None:
        super().__init__(name=name)
        self.field = field

    def create_sql(
        self,
        model: type[models.Model] | None,
        schema_editor: BaseDatabaseSchemaEditor | None,
    ) -> str:
        assert model is not None  # noqa: S101
        assert schema_editor is not None  # noqa: S101
        key = model._meta.get_field(self.field)
        assert isinstance(key, models.ForeignKey)  # noqa: S101
        quote = schema_editor.quote_name
        return (
            f"ALTER TABLE {quote(model._meta.db_table)} "
            f"ADD CONSTRAINT {quote(self.name)} "
            f"FOREIGN KEY (organization_id, {quote(key.column)}) "
            f"REFERENCES {quote(key.related_model._meta.db_table)} (organization_id, id) "
            "DEFERRABLE INITIALLY DEFERRED"
        )

    def remove_sql(
        self,
        model: type[models.Model] | None,
        schema_editor: BaseDatabaseSchemaEditor | None,
    ) -> str:
        assert model is not None  # noqa: S101
        assert schema_editor is not None  # noqa: S101
        table = schema_editor.quote_name(model._meta.db_table)
        return (
            f"ALTER TABLE {table} DROP CONSTRAINT {schema_editor.quote_name(self.name)}"
        )

    def deconstruct(self) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        path, args, kwargs = super().deconstruct()
        return path, tuple(args), {**kwargs, "field": self.field}


class OneToOneInOrganization(models.OneToOneField[_ST, _GT]):
    """One row for one: unique by a constraint of Meta, which includes organization.

    A plain OneToOneField is unique in its own column alone, across organizations. So
    the database and its migrations know a plain key; queries may select along the row
    on the other side, which Django allows only where a field says that it is unique.
    """

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.ForeignKey", args, kwargs


class TenantModel(models.Model):
    """A row that belongs to one organization, and is invisible to every other.

    A new row takes the organization that is being acted for.
    """

    organization = models.ForeignKey(
        "accounts.Organization",
        models.PROTECT,
        related_name="+",
        editable=False,
        default=tenancy.current_organization_id,
    )

    class Meta:
        abstract = True
        constraints: ClassVar[tuple[BaseConstraint, ...]] = (
            TenantPolicy(name="tenant_%(app_label)s_%(class)s"),
            models.UniqueConstraint(
                fields=["organization", "id"], name="key_%(app_label)s_%(class)s"
            ),
        )


class TenantDetail(TenantModel):
    """A row that many are written of at once, each for another row of the organization.

    Its organization is without index and key of its own: composite constraints of the
    model have both.
    """

    organization = models.ForeignKey(
        "accounts.Organization",
        models.PROTECT,
        related_name="+",
        editable=False,
        default=tenancy.current_organization_id,
        db_index=False,
        db_constraint=False,
    )

    class Meta(TenantModel.Meta):
        abstract = True


class TenantHistory(HistoricalRecords):
    """Row history behind the same wall as the row; who changed it comes from the act."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("get_user", current_actor)
        super().__init__(**options)

    def get_meta_options(self, model: type[models.Model]) -> dict[str, Any]:
        options: dict[str, Any] = super().get_meta_options(model)
        label = f"{model._meta.app_label}_historical{model._meta.model_name}"
        options["constraints"] = [TenantPolicy(name=f"tenant_{label}")]
        return options


def current_actor(instance: models.Model, **_: Any) -> User | None:
    """Return who acts now, for the history row of `instance`."""
    return tenancy.current_actor()
