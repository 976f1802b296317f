"""The structure of the project, as rules that are kept by a test."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

MAY_IMPORT = {
    "accounts": {"accounts"},
    "inventory": {"inventory", "accounts"},
    "mlflow_sync": {"mlflow_sync", "inventory", "accounts"},
    "compliance": {"compliance", "inventory", "accounts"},
}
OURS = {*MAY_IMPORT, "verifywise"}
PURE = (
    "inventory/backends.py",
    "inventory/fields.py",
    "inventory/records.py",
    "inventory/serving.py",
    "inventory/spans.py",
    "mlflow_sync/snapshots.py",
    "mlflow_sync/fingerprints.py",
    "mlflow_sync/scope.py",
    "compliance/canonical.py",
    "compliance/check_formats.py",
    "compliance/checking.py",
    "compliance/covers.py",
    "compliance/facts.py",
    "compliance/engine.py",
    "compliance/policy.py",
    "compliance/policy_files.py",
    "compliance/remedies.py",
    *sorted(
        str(path.relative_to(ROOT))
        for pattern in (
            "mlflow_sync/normalize/*.py",
            "mlflow_sync/files/dependencies.py",
            "mlflow_sync/files/kinds.py",
            "mlflow_sync/files/manifests.py",
            "compliance/frameworks/control_map.py",
            "compliance/frameworks/counting.py",
            "compliance/frameworks/exports/*.py",
            "compliance/rules/*.py",
        )
        for path in ROOT.glob(pattern)
        if path.name != "gathering.py"  # which reads what the files are made of
    ),
)
FRAMEWORKS = {"django", "rest_framework", "mlflow", "requests", "urllib3", "http"}
HTTP = {"requests", "urllib3", "httpx", "http.client", "urllib.request"}
SELF_CHECKS = {"verifywise/programs.py"}
# Read before the settings are there, or by a process without Django.
WITHOUT_DJANGO = (
    "verifywise/env.py",
    "verifywise/postgres.py",
    "verifywise/postgres_server.py",
    "verifywise/postgres_keeper.py",
)
UNWANTED_NAMES = {"utils", "helpers", "common", "core", "services", "extras", "misc"}
LONGEST_FILE = 400


def imports(path: Path, *, whole: bool = False) -> set[str]:
    """Return what a file imports, at any depth of its code: top-level packages.

    With `whole`, full names of modules instead.
    """
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
            if node.module in ("http", "urllib"):
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found if whole else {name.split(".")[0] for name in found}


def files(app: str) -> list[Path]:
    return sorted((ROOT / app).rglob("*.py"))


@pytest.mark.parametrize("app", MAY_IMPORT)
def test_an_app_imports_only_the_apps_below_it(app: str) -> None:
    for path in files(app):
        assert imports(path) & OURS <= MAY_IMPORT[app], path


@pytest.mark.parametrize("path", PURE)
def test_a_pure_module_knows_no_framework(path: str) -> None:
    assert not imports(ROOT / path) & FRAMEWORKS


@pytest.mark.parametrize("path", WITHOUT_DJANGO)
def test_what_comes_before_the_settings_asks_for_none_of_them(path: str) -> None:
    """Django's exceptions and django-environ read no settings; all else might."""
    needing = {
        name
        for name in imports(ROOT / path, whole=True)
        if name.split(".")[0] in FRAMEWORKS - {"http"}
    }
    assert needing <= {"django.core.exceptions"}


def test_only_the_client_speaks_http() -> None:
    """The roof may ask the programs that it started whether they are up."""
    speaking = {
        str(path.relative_to(ROOT))
        for app in OURS
        for path in files(app)
        if imports(path, whole=True) & HTTP
        and path.relative_to(ROOT).parts[:2] != ("mlflow_sync", "client")
    }
    assert speaking <= SELF_CHECKS


@pytest.mark.parametrize("app", sorted(OURS))
def test_files_are_named_for_what_they_are_about_and_stay_readable(app: str) -> None:
    for path in files(app):
        assert path.stem not in UNWANTED_NAMES, path
        if "migrations" not in path.parts:
            assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE, (
                f"{path} is past {LONGEST_FILE} lines: split it by noun."
            )


def test_nothing_is_imported_with_a_star() -> None:
    for app in OURS:
        for path in files(app):
            assert "import *" not in path.read_text(encoding="utf-8"), path
