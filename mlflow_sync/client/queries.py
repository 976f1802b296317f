"""The only GraphQL documents that are ever sent: queries, fixed before anything is read."""

from __future__ import annotations

MOST_LISTINGS = 10  # root fields of one document that MLflow answers

_LISTING = (
    "l{n}: mlflowListArtifacts(input: $i{n}) "
    "{{ rootUri files {{ path isDir fileSize }} apiError {{ code }} }}"
)


def _listings(count: int) -> str:
    variables = ", ".join(f"$i{n}: MlflowListArtifactsInput" for n in range(count))
    fields = " ".join(_LISTING.format(n=n) for n in range(count))
    return f"query Listings({variables}) {{ {fields} }}"


LISTINGS = {count: _listings(count) for count in range(1, MOST_LISTINGS + 1)}
DOCUMENTS = frozenset(LISTINGS.values())
