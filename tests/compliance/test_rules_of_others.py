"""An app beside ours brings rules: those of docs/own-rules.md, really installed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from accounts.models import Organization
from accounts.tenancy import acting_for
from compliance.models import Evaluation, Gap
from tests.rows import a_model, a_source, a_version
from tests.workers import ROOT, environment

pytestmark = pytest.mark.django_db(transaction=True)

BLOCKS = re.findall(
    r"```python\n# (\S+)\n(.*?)```",
    (ROOT / "docs" / "own-rules.md").read_text(encoding="utf-8"),
    re.DOTALL,
)


@pytest.fixture
def stored(acme: Organization) -> Organization:
    """An organization with a version, committed: another process reads it."""
    with acting_for(acme):
        a_version(a_model(a_source()))
    return acme


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """The app of the docs' page; return the file of its rules."""
    for name, code in BLOCKS:
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(code, encoding="utf-8")
    rules = tmp_path / "acme_rules" / "rules.py"
    (rules.parent / "__init__.py").touch()
    return rules


def judge(app: Path) -> subprocess.CompletedProcess[str]:
    """Judge all with the app installed."""
    told = {
        "DJANGO_SETTINGS_MODULE": "acme_settings",
        "PYTHONPATH": str(app.parents[1]),
    }
    return subprocess.run(
        [sys.executable, "manage.py", "evaluate", "--organization", "acme"],
        cwd=ROOT,
        env=environment() | told,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_rule_of_another_app_makes_a_gap_like_any_other(
    stored: Organization, app: Path
) -> None:
    done = judge(app)

    assert done.returncode == 0, done.stderr
    with acting_for(stored):
        gap = Gap.objects.get(rule_id="ACME-001")
        assert gap.is_open
        assert gap.detail == "The description has fewer than 20 characters."
        result = Evaluation.objects.get().result("ACME-001")
        assert (result["verdict"], result["version"]) == ("fail", 1)


def test_one_that_crashes_spoils_only_itself(stored: Organization, app: Path) -> None:
    code = app.read_text(encoding="utf-8")
    app.write_text(code.replace(">= 20", ">= 20 / 0"), encoding="utf-8")

    done = judge(app)

    assert done.returncode == 0, done.stderr
    with acting_for(stored):
        result = Evaluation.objects.get().result("ACME-001")
        assert result["verdict"] == "error"
        assert "ZeroDivisionError" in result["detail"]
        assert not Gap.objects.filter(rule_id="ACME-001").exists()
        assert Gap.objects.exists()


def test_a_taken_id_stops_the_start_and_nothing_is_judged(
    stored: Organization, app: Path
) -> None:
    code = app.read_text(encoding="utf-8")
    app.write_text(code.replace("ACME-001", "VW-INV-001"), encoding="utf-8")

    done = judge(app)

    assert done.returncode != 0
    (last,) = done.stderr.strip().splitlines()[-1:]
    assert "There are two rules VW-INV-001: compliance.rules.ownership" in last
    assert "acme_rules.rules" in last
    with acting_for(stored):
        assert not Evaluation.objects.exists()
