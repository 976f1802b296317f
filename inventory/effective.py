"""The values that count: what is attested, where an attestation is in force.

The columns of a version hold the values that count, so that lists, filters and facts
read them without asking. Beside them, `ingested` keeps of each attested field what its
source told: `value` and `told` as in provenance, the `attestation` that replaces them,
and `seen`: what the source told when somebody last decided for the attestation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from inventory.fields import ATTESTABLE, GOVERNANCE_FIELDS, is_known
from inventory.models import Attestation, ModelVersion, Source, known_fields
from inventory.writing import BATCH, update, write_history


@dataclass(slots=True)
class InForce:
    """The attestations that hold for some versions."""

    of_models: defaultdict[int, dict[str, Attestation]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    of_versions: defaultdict[int, dict[str, Attestation]] = field(
        default_factory=lambda: defaultdict(dict)
    )

    @classmethod
    def over(cls, *, models: Iterable[int], versions: Iterable[int]) -> InForce:
        """Return what is in force over these models and versions. Costs one query."""
        found = cls()
        for each in (
            Attestation.objects.in_force()
            .filter(Q(registered_model__in=models) | Q(version__in=versions))
            .select_related("attested_by")
        ):
            if each.version_id is not None:
                found.of_versions[each.version_id][each.field] = each
            elif each.registered_model_id is not None:
                found.of_models[each.registered_model_id][each.field] = each
        return found

    def __bool__(self) -> bool:
        return bool(self.of_models or self.of_versions)

    def all(self) -> dict[int, Attestation]:
        by_subject = (*self.of_models.values(), *self.of_versions.values())
        return {each.pk: each for fields in by_subject for each in fields.values()}

    def of(self, version: ModelVersion) -> dict[str, Attestation]:
        """Return field -> attestation; one of the version wins over one of its model."""
        return {
            **self.of_models.get(version.registered_model_id, {}),
            **self.of_versions.get(version.pk or 0, {}),
        }


@dataclass(slots=True, kw_only=True)
class Overlay:
    """Lays what is attested over versions of a chunk whose columns hold what was told.

    Nothing is asked before a version is to be written; then nobody attests of the
    source's models until the transaction ends. Costs two queries, and a third where
    something is attested.
    """

    source_id: int
    models: Collection[int]
    versions: Collection[int]

    _attested: InForce | None = None
    _before: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    _laid: list[ModelVersion] = field(default_factory=list)

    def settle(self, version: ModelVersion) -> None:
        attested = self._load()
        before = self._before.get(version.pk or 0, {})
        cover(version, attested.of(version), before=before, is_seen=False)
        if version.ingested:
            self._laid.append(version)

    def note_contradictions(self, *, at: datetime) -> None:
        """Note which attestations the source contradicts since now, or no longer."""
        if not self._laid:
            return
        known = self._load().all()
        touched = {
            attestation.pk: attestation
            for version in self._laid
            for entry in version.ingested.values()
            if (attestation := known[entry["attestation"]]).contradicted_since
            or contradicts(entry, attestation.value)
        }
        note_contradictions(touched.values(), at=at)

    def _load(self) -> InForce:
        if self._attested is None:
            lock([self.source_id])
            self._attested = InForce.over(models=self.models, versions=self.versions)
            if self._attested:
                rows = ModelVersion.objects.filter(pk__in=self.versions)
                self._before = dict(rows.values_list("pk", "ingested"))
        return self._attested


def lock(source_ids: Iterable[int]) -> None:
    """Keep syncs of these sources, and who attests of their models, apart.

    Until the transaction ends. Costs one query.
    """
    sources = Source.objects.filter(pk__in=source_ids).order_by("pk")
    list(sources.select_for_update(no_key=True).values_list("pk", flat=True))


def settle(versions: QuerySet[ModelVersion], *, at: datetime) -> list[int]:
    """Let the columns of versions hold what counts; return the ids of those changed.

    For acts, after attestations were made or ended: what the source tells was seen.
    Costs four queries for each 500 versions.
    """
    lock(versions.order_by().values_list("source", flat=True).distinct())
    pks = list(versions.order_by("pk").values_list("pk", flat=True))
    done: list[int] = []
    for first in range(0, len(pks), BATCH):
        chunk = ModelVersion.objects.filter(pk__in=pks[first : first + BATCH])
        rows = list(
            chunk.select_for_update(no_key=True, of=("self",))
            .select_related("registered_model")  # whose name is a field of the record
            .order_by("pk")
        )
        attested = InForce.over(
            models={row.registered_model_id for row in rows},
            versions=[row.pk for row in rows],
        )
        changed = [row for row in rows if _bring_in_line(row, attested.of(row))]
        rewrite(changed, at=at)
        done += [row.pk for row in changed]
    return done


def rewrite(changed: list[ModelVersion], *, at: datetime) -> None:
    """Write rows whose values are others than before, with their history."""
    if not changed:
        return
    for row in changed:
        row.known_fields, row.changed_at = known_fields(row), at
    update(ModelVersion, changed)
    write_history(ModelVersion, changed, update=True)


def _bring_in_line(version: ModelVersion, attested: Mapping[str, Attestation]) -> bool:
    before = version.ingested, _values(version)
    for name, entry in version.ingested.items():
        _put(version, name, entry["value"], entry["told"])
    cover(version, attested, before=version.ingested, is_seen=True)
    return before != (version.ingested, _values(version))


def cover(
    version: ModelVersion,
    attested: Mapping[str, Attestation],
    *,
    before: Mapping[str, Any],
    is_seen: bool,
) -> None:
    """Put what is attested in the place of what was told, which `ingested` keeps.

    `before` is what `ingested` was: what was seen then stays what was seen. `is_seen`
    says whether somebody has just looked at what is told of a field newly attested.
    """
    ingested = {}
    for name, attestation in attested.items():
        told = version.value(name)
        entry = before.get(name, {})
        if entry.get("attestation") == attestation.pk:
            seen = entry["seen"]
        else:
            seen = told if is_seen else None
        ingested[name] = {
            "value": told,
            "told": version.provenance.get(name),
            "seen": seen,
            "attestation": attestation.pk,
        }
        _put(version, name, attestation.value, attestation.told())
    version.ingested = ingested


def contradicts(entry: Mapping[str, Any], value: Any) -> bool:
    """Tell whether a source says otherwise than what is attested, and nobody saw it.

    A source that falls silent does not contradict.
    """
    told = entry["value"]
    return is_known(told) and told not in (value, entry["seen"])


def is_contradicted(version: ModelVersion, attestation: Attestation) -> bool:
    """Tell whether the source of a version says otherwise than its attestation."""
    entry = version.ingested.get(attestation.field)
    return bool(
        entry
        and entry["attestation"] == attestation.pk
        and contradicts(entry, attestation.value)
    )


def contradictions(
    attestation: Attestation,
) -> list[tuple[ModelVersion, Mapping[str, Any]]]:
    """Return the present versions whose source says otherwise, and what it says.

    Costs one query, and none where nothing is contradicted.
    """
    if attestation.contradicted_since is None:
        return []
    versions = (
        ModelVersion.objects.present()
        .filter(
            Q(pk=attestation.version_id)
            | Q(registered_model=attestation.registered_model_id)
        )
        .select_related("registered_model")
        .only("version_number", "ingested", "registered_model__name")
        .order_by("-version_number")
    )
    return [
        (version, version.ingested[attestation.field])
        for version in versions
        if is_contradicted(version, attestation)
    ]


def note_contradictions(attestations: Iterable[Attestation], *, at: datetime) -> None:
    """Keep `contradicted_since` true, of the present versions. Costs 3 queries at most."""
    known = {each.pk: each for each in attestations}
    if not known:
        return
    versions = ModelVersion.objects.present().filter(
        Q(attestations__in=known) | Q(registered_model__attestations__in=known)
    )
    contradicted = {
        entry["attestation"]
        for ingested in versions.values_list("ingested", flat=True)
        for entry in ingested.values()
        if (each := known.get(entry["attestation"])) and contradicts(entry, each.value)
    }
    rows = Attestation.objects.filter(pk__in=known)
    rows.filter(pk__in=contradicted, contradicted_since=None).update(
        contradicted_since=at
    )
    rows.exclude(pk__in=contradicted).filter(contradicted_since__isnull=False).update(
        contradicted_since=None
    )


def _values(version: ModelVersion) -> dict[str, Any]:
    return {
        name: (version.value(name), version.provenance.get(name)) for name in ATTESTABLE
    }


def _put(version: ModelVersion, name: str, value: Any, told: Any) -> None:
    """Give a field a value and who told it; None is nobody."""
    provenance = {key: each for key, each in version.provenance.items() if key != name}
    version.provenance = provenance | ({name: told} if told else {})
    if name not in GOVERNANCE_FIELDS:
        setattr(version, name, value)
        return
    rest = {key: each for key, each in version.governance.items() if key != name}
    version.governance = rest if value is None else {**rest, name: value}
