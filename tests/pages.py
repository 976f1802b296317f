"""The console as members see it: its pages, what they cost, and a registry to look at.

A registry is made inside `acting_for`; each model has three versions, the second in
production, with gaps, a run and a history.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from compliance.catalogue import Severity
from compliance.models import Gap, GapEvent, ResultChange
from inventory.models import (
    Experiment,
    LifecycleEvent,
    ModelVersion,
    RegisteredModel,
    Run,
    Source,
)
from inventory.records import Stage
from tests.conftest import signed_in
from tests.rows import (
    a_gap,
    a_model,
    a_version,
    an_alias_move,
    an_evaluation,
    days,
)

MOST_QUERIES = 16
STAGES = (Stage.ARCHIVED, Stage.PRODUCTION, Stage.STAGING)


class Visitor:
    """A member at the console."""

    def __init__(self, user: User) -> None:
        self.client: Client = signed_in(user)

    def page(self, path: str, *, answers: int = 200, **parameters: Any) -> str:
        """Return the HTML of a page."""
        answer = self.client.get(f"/console/{path}", parameters)
        assert answer.status_code == answers, answer.content[:2000]
        return answer.content.decode()

    def text(self, path: str, **parameters: Any) -> str:
        """Return the words of a page's content, with single spaces."""
        content = self.page(path, **parameters)
        _, main, content = content.partition("<main")
        assert main
        return words(content.partition("</main>")[0])

    def rows(self, path: str, **parameters: Any) -> list[str]:
        """Return the words of each row of a list."""
        return [words(row) for row in self.cells(path, **parameters)]

    def cells(self, path: str, **parameters: Any) -> Iterator[str]:
        found = re.findall(
            r'<tr class="data-row.*?</tr>', self.page(path, **parameters), re.DOTALL
        )
        return iter(found)

    def queries(self, path: str, **parameters: Any) -> int:
        """Count all statements of a request, those of session and transaction too."""
        with CaptureQueriesContext(connection) as captured:
            self.page(path, **parameters)
        return len(captured)

    def post(self, path: str, **fields: Any) -> Any:
        return self.client.post(f"/console/{path}", fields)


def words(markup: str) -> str:
    bare = re.sub(r"<(script|style).*?</\1>", " ", markup, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", bare)).split())


def a_registry(source: Source, *, models: int) -> list[RegisteredModel]:
    experiment = Experiment.objects.create(
        source=source,
        experiment_id="7",
        name="credit",
        lifecycle_stage="active",
        tags={"team": "lending"},
        fingerprint="e",
    )
    return [
        _with_versions(a_model(source, f"model-{number:03}"), experiment)
        for number in range(models)
    ]


def _with_versions(model: RegisteredModel, experiment: Experiment) -> RegisteredModel:
    for number, stage in enumerate(STAGES, start=1):
        run = Run.objects.create(
            source=model.source,
            run_id=f"{model.name}-{number}",
            experiment_id=experiment.experiment_id,
            lifecycle_stage="active",
            tags={"mlflow.user": "nina"},
            fingerprint="r",
        )
        version = a_version(
            model,
            number,
            run=run,
            lifecycle_stage=stage,
            owner=f"owner-{model.name}@example.org",
            experiment_id=experiment.experiment_id,
            known_fields=20 + number,
            tags={"risk_category": "high"},
        )
        LifecycleEvent.objects.create(
            version=version,
            from_stage=Stage.NONE,
            to_stage=stage,
            told_by="alias champion",
            observed_after=days(0),
            observed_before=days(1),
        )
        an_alias_move(model, "champion", number - 1 or None, number, (days(0), days(1)))
        judge(version, high=number)
    return model


def judge(version: ModelVersion, **counts: int) -> list[Gap]:
    """Give a version so many open gaps of each severity."""
    an_evaluation(version, **counts)
    gaps = []
    for name, count in counts.items():
        is_missing = name == "missing_fields"
        for number in range(count):
            gap = a_gap(
                version,
                rule_id=f"VW-TEST-{name}-{number}",
                kind=Gap.Kind.MISSING_FIELD if is_missing else Gap.Kind.RULE,
                severity=Severity.LOW if is_missing else Severity[name.upper()],
                detail=f"Something is missing of {version}.",
            )
            ResultChange.objects.create(
                version=version,
                gap=gap,
                rule_id=gap.rule_id,
                before="pass",
                after="fail",
                event=GapEvent.OPENED,
                at=days(2),
            )
            gaps.append(gap)
    return gaps
