"""How a gap is closed, ready to be copied."""

from __future__ import annotations

from dataclasses import dataclass

from compliance.catalogue import Entry


@dataclass(frozen=True, slots=True)
class Remedy:
    """What to do, and the very call for this model and version where there is one.

    `attestable_fields` are those of the record that close the gap when people attest them.
    """

    text: str
    code: str
    attestable_fields: tuple[str, ...] = ()


def remedy_for(entry: Entry, *, model_name: str, version_number: int) -> Remedy:
    """Return the remedy of a rule with the names filled in.

    `client` in the code is an `mlflow.MlflowClient`, with rights that VerifyWise
    neither has nor wants.
    """
    code = entry.code.format(
        model=literal(model_name), version=literal(str(version_number))
    )
    return Remedy(text=entry.fix, code=code, attestable_fields=entry.fields)


def literal(text: str) -> str:
    """Write a Python string in double quotes; what cannot be printed is escaped."""
    shown = repr(text)
    if shown.startswith('"'):
        return shown
    return '"' + shown[1:-1].replace("\\'", "'").replace('"', '\\"') + '"'
