"""`manage.py check_version`, and the API that answers the same."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils.timezone import now

from accounts import tenancy
from accounts.models import Organization, User
from accounts.roles import Role
from compliance import check_version as checking
from compliance import waivers
from compliance.catalogue import Gate
from compliance.models import Evaluation, Gap, Waiver
from inventory.models import ModelVersion
from tests.callers import Caller, calling
from tests.compliance.faultless import FAULTLESS
from tests.rows import a_model, a_run, a_source, a_version
from verifywise.management.commands.check_version import Command

pytestmark = pytest.mark.django_db(transaction=True)


def faultless(organization: Organization, server: str = "Main", **told: Any) -> int:
    """Store a version that no rule finds fault with; return its id."""
    with tenancy.acting_for(organization):
        source = a_source(server)
        columns = {
            name: getattr(FAULTLESS, name)
            for name in (
                *("description", "business_purpose", "owner", "source_run_id"),
                *("run_found", "training_status", "metrics", "code_commit"),
                *("dataset_reference", "risk_category", "data_sensitivity"),
                *("privacy_assessment_status", "compliance_approver"),
                *("security_assessment_version", "runtime_environment"),
            )
        } | {
            "regulatory_scope": ["gdpr"],
            "dataset_inputs": list(FAULTLESS.dataset_inputs),
            "artifact_manifest": list(FAULTLESS.artifact_manifest),
            "artifacts_fingerprint": "a",
            "lifecycle_stage": "Staging",
            "run": a_run(source),
            "governance": {
                "criticality": "low",
                "financial_impact_usd": 1,
                "affected_groups": ["applicants"],
                "domain": "retail",
                "fairness_metrics": {"demographic_parity_difference": 0.04},
                "profiles_natural_persons": True,
                "declared_tier": "high",
                "declared_ai_act_class": "high",
                "annex_iii_category": "5b",
                "baseline_ref": "2",
            },
        }
        model = a_model(source)
        return a_version(model, 3, **(columns | told)).pk


@contextmanager
def acting(organization: Organization, user: User, role: Role) -> Any:
    with tenancy.acting_for(organization, actor=user, role=role):
        yield


def run(*arguments: str) -> tuple[int, str]:
    """Run the command as a pipeline does; return its exit code and what it printed."""
    told = StringIO()
    code = 0
    try:
        call_command("check_version", *arguments, stdout=told)
    except SystemExit as ended:
        code = int(ended.code or 0)
    return code, told.getvalue()


@pytest.fixture
def good(acme: Organization, olga: User) -> int:
    return faultless(acme)


def spoil(organization: Organization, pk: int, **fields: Any) -> None:
    with tenancy.acting_for(organization):
        ModelVersion.objects.filter(pk=pk).update(changed_at=now(), **fields)


# Each exit code


def test_0_nothing_stands_in_the_way(good: int) -> None:
    code, told = run("credit-scoring", "3")
    assert (code, told) == (
        0,
        "credit-scoring version 3: Nothing stands in the way of production.\n",
    )


def test_2_blocked_by_an_open_gap_which_is_named_with_its_remedy(
    acme: Organization, good: int
) -> None:
    spoil(acme, good, owner="")
    code, told = run("credit-scoring", "3")
    assert code == 2
    assert "Blocked: 1 high gap." in told
    assert "  VW-INV-001: No owner is recorded.\n    Name the person" in told


def test_3_a_gap_that_a_person_has_to_look_at(
    acme: Organization, good: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = checking.entries()
    to_review = replace(known["VW-INV-001"], gate=Gate.REVIEW)
    reviewed = known | {"VW-INV-001": to_review}
    monkeypatch.setattr(checking, "entries", lambda: reviewed)
    spoil(acme, good, owner="")
    code, told = run("credit-scoring", "3")
    assert code == 3
    assert "A person has to decide: 1 high gap." in told


def test_4_a_rule_that_blocks_could_not_be_decided(
    acme: Organization, good: int
) -> None:
    with tenancy.acting_for(acme):
        governance = ModelVersion.objects.get(pk=good).governance
    other = {"fairness_metrics": {"equal_opportunity_difference": 0.02}}
    spoil(acme, good, governance=governance | other)
    code, told = run("credit-scoring", "3")
    assert code == 4
    assert "Cannot be decided: VW-FAIR-002." in told


def test_1_no_such_version(good: int) -> None:
    for arguments, words in (
        (("credit-scoring", "4"), "There is no version 4 of a model 'credit-scoring'"),
        (("churn", "3"), "There is no version 3 of a model 'churn'"),
        (("credit-scoring", "latest"), "'latest' is not the number of a version"),
        (
            ("credit-scoring", "3", "--organization", "x"),
            "There is no organization 'x'",
        ),
        (("credit-scoring", "3", "--server", "x"), "There is no version 3"),
    ):
        with pytest.raises(CommandError, match=words) as refused:
            run(*arguments)
        assert refused.value.returncode == 1


def test_1_a_call_that_is_not_understood(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ((), ("credit-scoring",), ("a", "1", "--nope")):
        with pytest.raises(SystemExit) as ended:
            Command().run_from_argv(["manage.py", "check_version", *arguments])
        assert ended.value.code == 1
    assert "required: model, version" in capsys.readouterr().err


def test_2_stays_2_where_a_pipeline_calls(
    acme: Organization, good: int, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(acme, good, owner="")
    with pytest.raises(SystemExit) as ended:
        Command().run_from_argv(["manage.py", "check_version", "credit-scoring", "3"])
    assert ended.value.code == 2


# Which version is meant


def test_a_name_in_two_organizations_is_not_guessed(
    borealis: Organization, good: int
) -> None:
    faultless(borealis, "Main")
    with pytest.raises(CommandError, match="Main of acme, Main of borealis"):
        run("credit-scoring", "3")
    assert run("credit-scoring", "3", "--organization", "acme")[0] == 0


def test_a_name_on_two_servers_is_not_guessed(acme: Organization, good: int) -> None:
    faultless(acme, "Other", owner="")
    with pytest.raises(CommandError, match="Main of acme, Other of acme"):
        run("credit-scoring", "3")
    assert run("credit-scoring", "3", "--server", "Main")[0] == 0
    assert run("credit-scoring", "3", "--server", "Other")[0] == 2


# What it rests on


def test_it_is_judged_before_the_answer_and_only_if_due(
    acme: Organization, good: int
) -> None:
    assert run("credit-scoring", "3")[0] == 0
    with tenancy.acting_for(acme):
        before = Evaluation.objects.get(version=good).changed_at
    assert run("credit-scoring", "3")[0] == 0
    spoil(acme, good, owner="")
    assert run("credit-scoring", "3")[0] == 2
    with tenancy.acting_for(acme):
        assert Evaluation.objects.get(version=good).changed_at > before


def test_a_waived_gap_blocks_nothing_until_its_waiver_is_over(
    acme: Organization, good: int, max_: User, olga: User
) -> None:
    spoil(acme, good, owner="")
    assert run("credit-scoring", "3")[0] == 2
    terms = waivers.Terms(
        kind=Waiver.Kind.WAIVER,
        reason="We are moving.",
        ends_on=now().date() + timedelta(days=9),
    )
    with acting(acme, max_, Role.ML_ENGINEER):
        (waiver,) = waivers.ask_for_gaps([Gap.objects.get(rule_id="VW-INV-001")], terms)
    with acting(acme, olga, Role.COMPLIANCE_OFFICER):
        waivers.approve(waiver, reason="Until then.")

    code, told = run("credit-scoring", "3")
    assert (code, "1 gap is waived." in told) == (0, True)

    yesterday = now().date() - timedelta(days=1)
    with tenancy.acting_for(acme):
        Waiver.objects.update(ends_on=yesterday)
        Gap.objects.filter(waiver=waiver).update(waived_until=yesterday)
    assert run("credit-scoring", "3")[0] == 2


# For programs


def test_json_and_files_tell_the_same(
    acme: Organization, good: int, tmp_path: Path
) -> None:
    spoil(acme, good, owner="")
    junit, sarif = tmp_path / "check.xml", tmp_path / "check.sarif"
    arguments = ("--json", "--junit", str(junit), "--sarif", str(sarif))
    code, told = run("credit-scoring", "3", *arguments)
    answer = json.loads(told)
    assert (code, answer["verdict"]) == (2, "blocked")
    assert (answer["organization"], answer["server"]) == ("acme", "Main")
    (gap,) = [
        each for each in answer["rules"] if each["gap"] and each["gate"] == "block"
    ]
    assert (gap["rule_id"], gap["verdict"], gap["gap"]) == (
        "VW-INV-001",
        "fail",
        "open",
    )
    assert 'failures="1"' in junit.read_text()
    (result,) = json.loads(sarif.read_text())["runs"][0]["results"]
    assert result["ruleId"] == "VW-INV-001"


def test_a_file_that_cannot_be_written_is_an_error(good: int, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be written: No such file"):
        run("credit-scoring", "3", "--junit", str(tmp_path / "no" / "check.xml"))


# The API


@pytest.fixture
def alices(alice: User) -> Caller:
    return calling(alice)


def ask(caller: Caller, **told: Any) -> tuple[int, Any]:
    return caller.get("check-version/", **({"model": "credit-scoring"} | told))


def test_the_api_answers_as_the_command_does(
    acme: Organization, good: int, alices: Caller
) -> None:
    spoil(acme, good, owner="")
    status, told = ask(alices, version=3)
    assert (status, told["verdict"]) == (200, "blocked")
    assert told == json.loads(run("credit-scoring", "3", "--json")[1]) | {
        "judged_at": told["judged_at"]
    }


def test_the_api_never_guesses_a_server(
    acme: Organization, good: int, alices: Caller
) -> None:
    faultless(acme, "Other")
    status, told = ask(alices, version=3)
    assert status == 400
    assert told["errors"] == [
        {"field": "server", "detail": "Say which one: Main, Other."}
    ]
    assert ask(alices, version=3, server="Other")[1]["server"] == "Other"


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({}, "version"),
        ({"version": "x"}, "version"),
        ({"version": 0}, "version"),
        ({"version": 3, "modell": "x"}, "modell"),
    ],
)
def test_a_parameter_at_fault_is_named(
    good: int, alices: Caller, told: dict[str, Any], field: str
) -> None:
    status, problem = ask(alices, **told)
    assert (status, problem["errors"][0]["field"]) == (400, field)


def test_another_organization_is_told_of_no_such_version(
    good: int, bob: User, charlie: User, alices: Caller
) -> None:
    assert ask(alices, version=3)[0] == 200
    assert ask(calling(bob), version=3)[0] == 404
    assert ask(calling(charlie), version=3)[0] == 403


def test_a_check_costs_a_few_queries(good: int, alices: Caller) -> None:
    ask(alices, version=3)
    assert alices.queries("check-version/", model="credit-scoring", version=3) <= 18
