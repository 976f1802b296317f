"""The papers that a team logs beside its model: an evaluation report, a model card."""

from __future__ import annotations

from verifywise.demo.models import Case
from verifywise.demo.training import Trained


def evaluation_report(case: Case, trained: Trained, *, run_id: str) -> str:
    """Return the report of the hold-out evaluation, which names the run it is of."""
    lines = [
        f"# Evaluation of {case.model.name}, version {case.number}",
        "",
        f"Run: {run_id}  ",
        f"Hold-out rows: {len(trained.evaluation)}",
        "",
        "| Metric | Value |",
        "| --- | --: |",
        *(f"| {name} | {value:.4f} |" for name, value in trained.metrics.items()),
        "",
    ]
    return "\n".join(lines)


def model_card(case: Case, trained: Trained) -> str:
    """Return a model card with what the team told about the model."""
    tags = {**case.model.tags, **case.version.tags}
    sections = {
        "Purpose": tags.get("business_purpose") or tags.get("use_case"),
        "Intended use": tags.get("intended_use"),
        "Limitations": tags.get("limitations"),
        "Human oversight": tags.get("human_oversight_ref"),
        "Training data": f"{len(trained.training)} rows with the columns "
        f"{', '.join(trained.training.columns)}.",
        "Performance": ", ".join(
            f"{name} {value:.3f}" for name, value in trained.metrics.items()
        )
        + ".",
    }
    told = (f"## {title}\n\n{text}\n" for title, text in sections.items() if text)
    return "\n".join((f"# {case.model.name}\n", f"{case.model.description}\n", *told))
