"""Keeping how versions and sources stand before the frameworks.

`keep` reads what is stored, so it can be asked at any time and as often as one likes:
where nothing became other, it writes nothing. A standing names the evaluation that it
was kept of, so that `catch_up` finds what moved on since, whatever was interrupted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from django.contrib.postgres.fields import ArrayField
from django.db.models import (
    BooleanField,
    Exists,
    ExpressionWrapper,
    F,
    Func,
    JSONField,
    OuterRef,
    Subquery,
    TextField,
    Value,
)
from django.db.models.functions import Coalesce
from django.utils.timezone import now

from compliance.engine import Verdict, rulebook
from compliance.frameworks import tallies
from compliance.frameworks.counting import State
from compliance.gaps import lock_gaps
from compliance.judgement import GAP_KINDS
from compliance.models import Evaluation, Gap, Standing, Waiver
from inventory.coverage import known
from inventory.models import ModelVersion
from inventory.records import FIELDS, GOVERNANCE_FIELDS, Stage

Subject = Literal["version", "source"]
AT_ONCE = 2000
BATCH = 500
NEVER = Value(datetime.min.replace(tzinfo=UTC))

_COLUMNS = tuple(name for name in FIELDS if name not in GOVERNANCE_FIELDS)
_STATE_OF = {
    Verdict.PASS: State.MET,
    Verdict.NOT_APPLICABLE: State.NOT_APPLICABLE,
    Verdict.UNKNOWN: State.UNDECIDED,
    Verdict.ERROR: State.UNDECIDED,
    Verdict.FAIL: State.OPEN,
}
_VERDICTS = (
    "(SELECT jsonb_object_agg(told.key, told.value->>'verdict') "
    "FROM jsonb_each(%(expressions)s) AS told)"
)
_KEYS = "ARRAY(SELECT jsonb_object_keys(%(expressions)s) ORDER BY 1)"


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is stored of a version that decides how it stands."""

    is_production: bool = False
    regulatory_scope: Sequence[str] = ()
    known: Sequence[str] = ()


def keep(ids: Collection[int], *, subject: Subject = "version") -> int:
    """Bring the standings of these versions or sources up to date, and the tallies.

    Return how many stand otherwise than before. Costs five queries where nothing is
    other, and six more to write, for 2,000 of them.
    """
    return sum(_keep(each, subject) for each in _parts(sorted(ids)))


def _parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[first : first + AT_ONCE] for first in range(0, len(ids), AT_ONCE))


def _keep(ids: Sequence[int], subject: Subject) -> int:
    lock_gaps()
    within = {f"{subject}__in": ids}
    former = {
        getattr(row, f"{subject}_id"): row
        for row in Standing.objects.current().filter(**within)
    }
    facts = _facts_of(ids) if subject == "version" else dict.fromkeys(ids, _Facts())
    judged, gaps = _judged(within, subject), _gaps_of(within, subject)
    at = now()
    over: list[Standing] = []
    new: list[Standing] = []
    same: list[Standing] = []
    for subject_id in ids:
        before = former.get(subject_id)
        after = None
        if subject_id in facts and subject_id in judged:
            after = _standing(
                facts[subject_id], judged[subject_id], gaps[subject_id], at=at
            )
            setattr(after, f"{subject}_id", subject_id)
        if before and after and _told(before) == _told(after):
            if (before.fingerprint, before.judged) != (after.fingerprint, after.judged):
                same.append(before)
            continue
        if before:
            over.append(before)
        if after:
            new.append(after)
    if same:
        _mark(same, subject)
    if not over and not new:
        return 0
    Standing.objects.filter(pk__in=[row.pk for row in over]).update(until=at)
    Standing.objects.bulk_create(new, batch_size=BATCH)
    tallies.move(over, new)
    return max(len(over), len(new))


def catch_up() -> bool:
    """Keep what was judged since, and nobody kept; let go of what is gone.

    Works on 2,000 versions at most, and tells whether there may be more. Costs five
    queries where there is nothing to do.
    """
    current = Standing.objects.current()
    kept = current.annotate(of=Coalesce("judged", NEVER)).filter(
        version=OuterRef("version"),
        fingerprint=OuterRef("fingerprint"),
        of=Coalesce(OuterRef("judged"), NEVER),
    )
    behind = Evaluation.objects.filter(~Exists(kept), version__absent_since=None)
    behind = behind.exclude(version=None).exclude(results={})
    gone = current.filter(version__absent_since__isnull=False)
    for rows in (behind, gone):
        ids = rows.order_by("pk").values_list("version_id", flat=True)[:AT_ONCE]
        found = [pk for pk in ids if pk]
        keep(found)
        if len(found) == AT_ONCE:
            return True
    kept = current.filter(source=OuterRef("source"))
    sources = Evaluation.objects.filter(~Exists(kept)).exclude(source=None)
    sources = sources.exclude(results={})
    keep(
        [pk for pk in sources.values_list("source_id", flat=True) if pk],
        subject="source",
    )
    if wrong := tallies.doubtful():
        lock_gaps()
        tallies.recount(wrong)
    return False


def _facts_of(ids: Collection[int]) -> dict[int, _Facts]:
    """Return what is stored of the versions that are present. Costs one query."""
    rows = (
        ModelVersion.objects.present()
        .filter(pk__in=ids)
        .order_by()
        .annotate(
            keys=Func(
                F("governance"),
                template=_KEYS,
                output_field=ArrayField(TextField()),
            ),
            **{
                f"has_{name}": ExpressionWrapper(
                    known(name), output_field=BooleanField()
                )
                for name in _COLUMNS
            },
        )
        .values_list(
            *("pk", "lifecycle_stage", "regulatory_scope", "keys"),
            *(f"has_{name}" for name in _COLUMNS),
        )
    )
    return {
        pk: _Facts(
            is_production=stage == Stage.PRODUCTION,
            regulatory_scope=scope,
            known=[name for name, has in zip(_COLUMNS, has, strict=True) if has]
            + [key for key in keys if key in GOVERNANCE_FIELDS],
        )
        for pk, stage, scope, keys, *has in rows
    }


@dataclass(frozen=True, slots=True)
class _Judged:
    """How the rules that make gaps answered, and the evaluation that says so."""

    states: Mapping[str, State]
    fingerprint: str
    judged: datetime | None


def _judged(within: Mapping[str, Any], subject: Subject) -> dict[int, _Judged]:
    """Return how versions or sources were judged, by id. Costs one query."""
    verdicts = Func(F("results"), template=_VERDICTS, output_field=JSONField())
    rows = (
        Evaluation.objects.filter(**within)
        .exclude(results={})
        .values_list(f"{subject}_id", verdicts, "fingerprint", "judged")
    )
    making = {rule.id for rule in rulebook if rule.entry.kind in GAP_KINDS}
    return {
        subject_id: _Judged(
            states={
                rule_id: _STATE_OF[verdict]
                for rule_id, verdict in told.items()
                if rule_id in making
            },
            fingerprint=fingerprint,
            judged=judged,
        )
        for subject_id, told, fingerprint, judged in rows
    }


def _mark(rows: Sequence[Standing], subject: Subject) -> None:
    """Name the evaluation as of which these stand as before."""
    evaluation = Evaluation.objects.filter(**{subject: OuterRef(subject)})
    Standing.objects.filter(pk__in=[row.pk for row in rows]).update(
        fingerprint=Subquery(evaluation.values("fingerprint")[:1]),
        judged=Subquery(evaluation.values("judged")[:1]),
    )


def _gaps_of(
    within: Mapping[str, Any], subject: Subject
) -> defaultdict[int, dict[str, dict[str, Any]]]:
    """Return what is told of the live gaps, by subject and rule.

    Costs one query, and one more where gaps are waived.
    """
    found: defaultdict[int, dict[str, dict[str, Any]]] = defaultdict(dict)
    rows = Gap.objects.live().filter(**within).order_by()
    columns = rows.values_list(
        *(f"{subject}_id", "rule_id", "status", "severity", "gate", "detail"),
        *("opened_at", "reopened_at", "unknown_since", "waiver_id", "waived_until"),
    )
    sentences = _sentences({row[9] for row in columns if row[9]})
    for row in columns:
        subject_id, rule_id, status, severity, gate, detail, *times = row
        opened_at, reopened_at, unknown_since, waiver_id, until = times
        told = {
            "severity": severity,
            "gate": gate,
            "detail": detail,
            "since": (reopened_at or opened_at).isoformat(),
        }
        if unknown_since:
            told["unknown_since"] = unknown_since.isoformat()
        if status == Gap.Status.WAIVED:
            told["waiver"] = sentences[waiver_id]
            told["waived_until"] = until.isoformat() if until else None
        found[subject_id][rule_id] = told
    return found


def _sentences(waiver_ids: Collection[int]) -> dict[int, str]:
    if not waiver_ids:
        return {}
    waivers = Waiver.objects.filter(pk__in=waiver_ids).select_related("decided_by")
    return {waiver.pk: waiver.sentence for waiver in waivers}


def _standing(
    facts: _Facts,
    judged: _Judged,
    gaps: Mapping[str, Mapping[str, Any]],
    *,
    at: datetime,
) -> Standing:
    """Return how a version or source stands; a live gap counts, whatever its rule says.

    An undecided rule never closes its gap.
    """
    stands = dict(judged.states)
    for rule_id, told in gaps.items():
        if rule_id in stands:
            stands[rule_id] = State.WAIVED if "waiver" in told else State.OPEN
    return Standing(
        since=at,
        is_production=facts.is_production,
        regulatory_scope=list(facts.regulatory_scope),
        known=list(facts.known),
        states=dict(sorted(stands.items())),
        gaps={rule_id: dict(gaps[rule_id]) for rule_id in sorted(gaps)},
        fingerprint=judged.fingerprint,
        judged=judged.judged,
    )


def _told(row: Standing) -> tuple[Any, ...]:
    return row.is_production, row.regulatory_scope, row.known, row.states, row.gaps
