"""The console's lists and pages of models and versions, as the roof registers them."""

from __future__ import annotations

import re

import pytest

from accounts import tenancy
from accounts.models import Organization, User
from compliance.models import Gap
from inventory.models import ModelVersion, RegisteredModel, Source
from inventory.records import Stage
from mlflow_sync.models import TrackingServer
from tests.pages import MOST_QUERIES, Visitor, a_registry, judge
from tests.rows import a_model, a_server, a_source, a_sync, a_version, days

pytestmark = pytest.mark.django_db

MODELS = "inventory/registeredmodel/"
VERSIONS = "inventory/modelversion/"
NASTY = '<script>alert("x")</script>'


@pytest.fixture
def mlflow(acme: Organization) -> Source:
    with tenancy.acting_for(acme):
        return a_source()


@pytest.fixture
def credit(acme: Organization, mlflow: Source) -> RegisteredModel:
    """A model with three versions: 1 archived, 2 in production, 3 without a stage."""
    with tenancy.acting_for(acme):
        model = a_model(mlflow, "credit-scoring", tags={"team": "Lending"})
        for number, stage in enumerate(
            (Stage.ARCHIVED, Stage.PRODUCTION, Stage.NONE), start=1
        ):
            a_version(
                model,
                number,
                lifecycle_stage=stage,
                owner="nina@example.org" if number == 2 else "max@example.org",
                known_fields=10 * number,
                tags={"risk_category": "high"} if number == 2 else {},
            )
        return model


def version(model: RegisteredModel, number: int) -> ModelVersion:
    return ModelVersion.objects.get(registered_model=model, version_number=number)


# The list of models


def test_a_model_is_one_row_with_what_an_officer_asks_first(
    acme: Organization, alice: User, credit: RegisteredModel
) -> None:
    with tenancy.acting_for(acme):
        judge(version(credit, 2), critical=2, high=1, missing_fields=4)
        judge(version(credit, 3), high=1)

    (row,) = Visitor(alice).rows(MODELS)

    assert re.fullmatch(
        r"credit-scoring 2 critical 2 high 4 missing fields 3 version 2 "
        r"nina@example\.org 20/32 Production MLflow \d+ \w+ ago",
        row,
    )


def test_a_badge_has_colour_number_and_words(
    acme: Organization, alice: User, credit: RegisteredModel
) -> None:
    with tenancy.acting_for(acme):
        judge(version(credit, 2), critical=1, missing_fields=1)

    page = Visitor(alice).page(MODELS)

    assert (
        '<span class="vw-badge vw-critical" title="1 open gap of critical severity">'
        "<b>1</b> critical</span>" in page
    )
    assert "<b>1</b> missing field</span>" in page


def test_what_was_not_judged_is_not_called_clean(
    acme: Organization, alice: User, credit: RegisteredModel
) -> None:
    assert "not judged yet" in Visitor(alice).rows(MODELS)[0]

    with tenancy.acting_for(acme):
        judge(version(credit, 2))

    assert "no gaps" in Visitor(alice).rows(MODELS)[0]


def test_a_version_that_is_gone_counts_no_more(
    acme: Organization, alice: User, credit: RegisteredModel
) -> None:
    with tenancy.acting_for(acme):
        judge(version(credit, 2), critical=1)
        ModelVersion.objects.filter(registered_model=credit, version_number=2).update(
            absent_since=days(5)
        )

    (row,) = Visitor(alice).rows(MODELS)

    assert "critical" not in row
    assert " 2 – max@example.org 30/32 " in row  # the latest of two, none in production


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("credit", True),
        ("CREDIT nina", True),
        ("risk_category", True),
        ("risk_category=high", True),
        ("risk_category=low", False),
        ("team=lend", True),
        ('"nina@example.org"', True),
        ("fraud", False),
        ("credit fraud", False),
        ("=", False),
        ("%", False),
    ],
)
def test_models_are_found_by_name_owner_and_tag(
    alice: User, credit: RegisteredModel, text: str, found: bool
) -> None:
    assert bool(Visitor(alice).rows(MODELS, q=text)) is found


@pytest.mark.parametrize(
    ("parameter", "choice", "found"),
    [
        ("stage", "Production", True),
        ("stage", "Staging", False),
        ("owner", "nina@example.org", True),
        ("owner", "(nobody)", False),
        ("severity", "critical", True),
        ("severity", "high", False),
        ("severity", "none", False),
        ("severity", "unjudged", True),
        ("completeness", "few", True),
        ("completeness", "half", True),
        ("completeness", "whole", False),
        ("completeness", "unread", False),
        ("presence", "present", True),
        ("presence", "absent", False),
        ("presence", "all", True),
    ],
)
def test_models_are_narrowed(
    acme: Organization,
    alice: User,
    credit: RegisteredModel,
    parameter: str,
    choice: str,
    found: bool,
) -> None:
    with tenancy.acting_for(acme):
        judge(version(credit, 2), critical=1)

    assert bool(Visitor(alice).rows(MODELS, **{parameter: choice})) is found


def test_sources_are_offered_where_there_are_several(
    acme: Organization, alice: User, credit: RegisteredModel
) -> None:
    assert "?source=" not in Visitor(alice).page(MODELS)

    with tenancy.acting_for(acme):
        other = a_source("Research MLflow")

    assert f"?source={other.pk}" in Visitor(alice).page(MODELS)
    assert Visitor(alice).rows(MODELS, source=other.pk) == []


def test_an_old_link_with_a_choice_that_is_none_shows_all(
    alice: User, credit: RegisteredModel
) -> None:
    assert Visitor(alice).rows(MODELS, stage="Nirvana", source="x") != []


def test_models_can_be_ordered_by_their_gravest_gaps(
    acme: Organization, alice: User, mlflow: Source
) -> None:
    with tenancy.acting_for(acme):
        for name, counts in (("a", {"high": 3}), ("b", {"critical": 1}), ("c", {})):
            judge(a_version(a_model(mlflow, name)), **counts)
        a_version(a_model(mlflow, "d"))

    by_gaps = Visitor(alice).rows(MODELS, o="2")

    assert [row.split()[0] for row in by_gaps] == ["b", "a", "c", "d"]


def test_without_a_server_the_list_says_what_to_do(alice: User, olga: User) -> None:
    page = Visitor(alice).page(MODELS)
    assert "No tracking server yet" in page
    assert '/console/mlflow_sync/trackingserver/add/"' in page

    assert "An administrator can add" in Visitor(olga).text(MODELS)
    assert "trackingserver/add" not in Visitor(olga).page(MODELS)


def test_with_a_server_that_has_no_models_the_list_leads_to_it(
    acme: Organization, alice: User, mlflow: Source
) -> None:
    with tenancy.acting_for(acme):
        server: TrackingServer = a_server(mlflow)

    page = Visitor(alice).page(MODELS)

    assert "No models yet" in page
    assert server.get_absolute_url() in page


def test_a_search_without_result_says_so(alice: User, credit: RegisteredModel) -> None:
    assert "Nothing matches" in Visitor(alice).text(MODELS, q="fraud")


# The page of a model


def test_the_page_of_a_model_lists_its_versions_the_newest_first(
    acme: Organization, alice: User, credit: RegisteredModel
) -> None:
    with tenancy.acting_for(acme):
        RegisteredModel.objects.filter(pk=credit.pk).update(aliases={"champion": 2})
        judge(version(credit, 2), critical=1)

    text = Visitor(alice).text(f"{MODELS}{credit.pk}/change/")

    assert re.search(
        r"Version 3 .*Version 2 Production 1 critical .*Version 1 Archived", text
    )
    assert "team Lending" in text
    assert "@champion version 2" in text


# The list of versions


def test_a_version_is_one_row(
    acme: Organization, alice: User, credit: RegisteredModel
) -> None:
    with tenancy.acting_for(acme):
        ModelVersion.objects.filter(registered_model=credit, version_number=2).update(
            aliases=["champion"],
            data_sensitivity="personal",
            incomplete={"run": "MLflow answered 500."},
        )
        judge(version(credit, 2), high=3)

    row = Visitor(alice).rows(VERSIONS, stage="Production")[0]

    assert re.fullmatch(
        r"credit-scoring version 2 run unread Production @champion 3 high "
        r"nina@example\.org personal 20/32 Production MLflow \d+ \w+ ago",
        row,
    )


def test_versions_are_found_by_their_models_tags_too(
    alice: User, credit: RegisteredModel
) -> None:
    assert len(Visitor(alice).rows(VERSIONS, q="team=lending")) == 3
    assert len(Visitor(alice).rows(VERSIONS, q="risk_category=high")) == 1
    assert len(Visitor(alice).rows(VERSIONS, model=credit.pk)) == 3
    assert len(Visitor(alice).rows(VERSIONS, severity="unjudged")) == 3


# What everybody may and may not see


def test_everything_that_mlflow_told_is_escaped(
    acme: Organization, alice: User, mlflow: Source
) -> None:
    with tenancy.acting_for(acme):
        model = a_model(
            mlflow,
            NASTY,
            description=NASTY * 9,
            tags={NASTY: NASTY},
            aliases={NASTY: 1},
        )
        told = {"source": NASTY, "key": NASTY, "weak": True, "raw": NASTY}
        row = a_version(
            model,
            1,
            owner=NASTY,
            aliases=[NASTY],
            tags={NASTY: NASTY},
            metrics={NASTY: 1.0},
            hyperparameters={NASTY: NASTY * 20},
            data_sensitivity=NASTY,
            regulatory_scope=[NASTY],
            deployment_status=NASTY,
            provenance=dict.fromkeys(("owner", "risk_category"), told),
            others={"owner": [[NASTY, told]]},
            incomplete={"run": NASTY},
            artifact_manifest=[{"path": NASTY, "type": NASTY, "state": NASTY}],
            evidence_files=[{"path": NASTY, "kind": NASTY, "state": "hashed"}],
            runtime_environment={NASTY: [NASTY]},
            signature={NASTY: [{"name": NASTY, "type": NASTY}]},
            flavors=[NASTY],
            dataset_inputs=[{"name": NASTY, "source": NASTY}],
            governance={"intended_use": NASTY, "fairness_metrics": {NASTY: NASTY}},
            redactions=[{"place": NASTY, "key": NASTY, "kind": NASTY}],
        )
        (gap,) = judge(row, critical=1)
        Gap.objects.filter(pk=gap.pk).update(detail=NASTY)
        row.owner = f"{NASTY}!"
        row.save()

    visitor = Visitor(alice)
    for path in (
        MODELS,
        VERSIONS,
        f"{MODELS}{model.pk}/change/",
        f"{MODELS}{model.pk}/history/",
        f"{VERSIONS}{row.pk}/change/",
        f"{VERSIONS}{row.pk}/history/",
        "compliance/gap/",
        f"compliance/gap/{gap.pk}/change/",
        "",
    ):
        page = visitor.page(path)
        assert "<script>alert" not in page, path
        assert f"?stage={NASTY}" not in page


@pytest.mark.parametrize("path", [MODELS, VERSIONS])
def test_another_organization_sees_nothing_of_it(
    bob: User, credit: RegisteredModel, path: str
) -> None:
    assert Visitor(bob).rows(path, presence="all") == []


def test_the_pages_of_another_organizations_rows_are_not_there(
    acme: Organization, bob: User, credit: RegisteredModel
) -> None:
    with tenancy.acting_for(acme):
        row = version(credit, 2)
    for path in (f"{MODELS}{credit.pk}", f"{VERSIONS}{row.pk}"):
        answer = Visitor(bob).client.get(f"/console/{path}/change/")
        assert answer.status_code == 302
        assert answer["Location"] == "/console/"
        Visitor(bob).page(f"{path}/history/", answers=404)


@pytest.mark.parametrize("pk", ["0", "x", "99999999999999999999", "1/../2", "%27"])
def test_a_page_that_nobody_has_leads_away(
    alice: User, credit: RegisteredModel, pk: str
) -> None:
    answer = Visitor(alice).client.get(f"/console/{VERSIONS}{pk}/change/")

    assert answer.status_code in (302, 404)


def test_nobody_adds_changes_or_deletes_here(
    acme: Organization, alice: User, credit: RegisteredModel
) -> None:
    visitor = Visitor(alice)
    for path in (MODELS, VERSIONS, "compliance/gap/"):
        visitor.page(f"{path}add/", answers=403)
        visitor.page(f"{path}1/delete/", answers=403)
    visitor.post(f"{MODELS}{credit.pk}/change/", name="other")

    with tenancy.acting_for(acme):
        assert RegisteredModel.objects.get().name == "credit-scoring"


def test_somebody_without_an_organization_is_told_so(
    charlie: User, credit: RegisteredModel
) -> None:
    visitor = Visitor(charlie)
    answer = visitor.client.get(f"/console/{MODELS}", follow=True)

    assert "a member of no organization" in answer.content.decode()


# What it costs


@pytest.mark.parametrize(
    "path",
    [
        MODELS,
        f"{MODELS}%(model)s/change/",
        f"{MODELS}%(model)s/history/",
        VERSIONS,
        f"{VERSIONS}%(version)s/change/",
        f"{VERSIONS}%(version)s/history/",
        "compliance/gap/",
        "compliance/gap/%(gap)s/change/",
    ],
)
def test_a_large_registry_takes_no_more_queries_than_a_small_one(
    acme: Organization, alice: User, mlflow: Source, path: str
) -> None:
    with tenancy.acting_for(acme):
        a_sync(a_server(mlflow))
        (first, *_) = a_registry(mlflow, models=3)
        row = version(first, 2)
        gap = Gap.objects.filter(version=row).first()
        assert gap is not None
        keys = {"model": first.pk, "version": row.pk, "gap": gap.pk}
    visitor = Visitor(alice)
    few = visitor.queries(path % keys)
    with tenancy.acting_for(acme):
        a_registry(a_source("Other"), models=57)

    assert visitor.queries(path % keys) == few <= MOST_QUERIES
