"""Judging all versions of a new organization, in a process of its own.

`python -m bench.judging VERSIONS` prints one JSON object. Each chunk is judged in turn
with the bare rules on its facts, which are in memory by then, so that a machine that
is busy for a while is busy for both.
"""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from dataclasses import asdict, dataclass

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "verifywise.settings")
django.setup()

from django.utils.timezone import now

from accounts import tenancy
from accounts.models import Organization
from bench.database import statements, tell_the_planner, writes
from bench.versions import a_judged_organization, an_organization
from compliance.engine import evaluate
from compliance.evaluation import chunks
from compliance.evidence import gather_facts
from compliance.facts import ModelFacts
from compliance.judgement import Measure
from compliance.policies import in_force
from inventory.models import ModelVersion

WARMING = 20  # versions


@dataclass(slots=True)
class Walk:
    """One evaluation of all versions, and the bare rules on the same facts."""

    seconds: float = 0
    rules_seconds: float = 0
    statements: int = 0
    versions: int = 0
    changed: int = 0
    opened: int = 0
    written: int = 0  # rows


def walk(organization: Organization) -> Walk:
    found = Walk()
    before = sum(writes().values())
    judging = chunks(organization)
    place = 0
    while True:
        with statements() as sent:
            began = time.perf_counter()
            report = next(judging, None)
            found.seconds += time.perf_counter() - began
        found.statements += len(sent)
        if report is None:
            break
        found.versions += report.evaluated
        found.changed += report.changed
        found.opened += report.opened
        found.rules_seconds += _rules_alone(organization, place, report.last_id)
        place = report.last_id
    found.written = sum(writes().values()) - before
    return found


def _rules_alone(organization: Organization, after: int, last: int) -> float:
    """Judge the facts of a chunk by the rules, and do nothing with the results."""
    facts, measure = _facts(organization, after, last)
    began = time.perf_counter()
    for each in facts:
        evaluate(each, measure.rules, measure.thresholds)
    return time.perf_counter() - began


def _facts(
    organization: Organization, after: int, last: int
) -> tuple[list[ModelFacts], Measure]:
    with tenancy.acting_for(organization, origin="command"):
        ids = ModelVersion.objects.filter(pk__gt=after, pk__lte=last)
        facts = gather_facts(list(ids.values_list("pk", flat=True)), today=now().date())
        return list(facts.values()), Measure.of_versions(in_force())


def main(versions: int) -> None:
    a_judged_organization(f"warming-{uuid.uuid4().hex[:8]}", WARMING)
    organization = an_organization(f"judging-{uuid.uuid4().hex[:8]}", versions)
    tell_the_planner()
    first = walk(organization)
    tell_the_planner()
    again = walk(organization)
    assert first.changed == first.versions == again.versions == versions
    assert again.changed == 0, "it judges otherwise what has not changed"
    print(json.dumps({"first": asdict(first), "again": asdict(again)}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
