"""What the demo shows, version by version: what was planted and which rules open.

The table in `docs/demo.md` is `table()`, and a test keeps it so; another test syncs
the demo and finds these gaps and no others.
"""

from __future__ import annotations

import sys

from verifywise.demo.acme import ACME
from verifywise.demo.borealis import BOREALIS
from verifywise.demo.models import Organization

ORGANIZATIONS = (ACME, BOREALIS)
CASES = tuple(case for organization in ORGANIZATIONS for case in organization.cases())


def table() -> str:
    """Return the cases as Markdown, one section an organization."""
    return "\n".join(_section(organization) for organization in ORGANIZATIONS)


def _section(organization: Organization) -> str:
    lines = [
        f"### {organization.name}",
        "",
        "| Model | Version | Stage, aliases | What was planted | Gaps | Empty fields |",
        "| --- | --: | --- | --- | --- | --: |",
    ]
    for case in organization.cases():
        version = case.version
        cells = (
            case.model.name,
            str(case.number),
            ", ".join((version.stage, *version.aliases)),
            version.planted or "–",
            ", ".join(version.gaps) or "none",
            str(len(version.empty)),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join((*lines, ""))


if __name__ == "__main__":
    sys.stdout.write(table())
