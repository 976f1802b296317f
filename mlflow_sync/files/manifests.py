"""What is known of files, when a listing or a reading of them tells it anew. Pure.

A digest is kept as it was first read, for as long as MLflow tells a file of this path;
another one stands beside it, as `changed`. Rows are those of `inventory.manifest`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from inventory.manifest import ManifestRow, State

ASK_AGAIN = timedelta(days=1)  # for a file that was asked for in vain
NOT_LISTED = "MLflow no longer lists it."
# What the listing tells, and what it may leave to what was known.
_TOLD = ("path", "type", "unsafe", "format")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A file that is no longer what it was, or (`is_back`) what it was first again.

    Digests may be "": of a file of which only another size is known.
    """

    path: str
    before: str
    now: str
    is_back: bool = False

    @property
    def action(self) -> str:
        return "artifact.restored" if self.is_back else "artifact.changed"

    def changes(self) -> dict[str, Any]:
        return {"path": self.path, "sha256": {"from": self.before, "to": self.now}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """Which files a server wants to be hashed, and how often; times are aware UTC."""

    limit: int  # bytes
    verified_after: datetime
    asked_after: datetime

    @classmethod
    def at(cls, at: datetime, *, limit: int, every: timedelta) -> Wishes:
        return cls(limit=limit, verified_after=at - every, asked_after=at - ASK_AGAIN)

    @classmethod
    def all_since(cls, at: datetime, *, limit: int) -> Wishes:
        """Return the wish that all files are read that were not since then."""
        return cls(limit=limit, verified_after=at, asked_after=at)

    def want(self, row: ManifestRow) -> bool:
        if _size(row) > self.limit:
            return False
        match row["state"]:
            case State.HASHED:
                verified_at = _moment(row.get("verified_at"))
                is_read = "sha256" in row.get("changed", {"sha256": ""})
                return not (
                    is_read and verified_at and verified_at > self.verified_after
                )
            case State.UNAVAILABLE:
                asked_at = _moment(row.get("asked_at"))
                return not (asked_at and asked_at > self.asked_after)
            case _:
                return True

    def due(self, manifest: Iterable[ManifestRow]) -> list[ManifestRow]:
        """Return the files to be read: never read ones first, then the longest ago."""
        wanted = [row for row in manifest if self.want(row)]
        return sorted(wanted, key=lambda row: (row.get("verified_at", ""), row["path"]))


def next_due(
    manifest: Iterable[ManifestRow], *, limit: int, every: timedelta
) -> datetime | None:
    """Return when a file is wanted again, None if none ever is."""
    times = [
        told + pause
        for row in manifest
        if _size(row) <= limit
        for state, name, pause in (
            (State.HASHED, "verified_at", every),
            (State.UNAVAILABLE, "asked_at", ASK_AGAIN),
        )
        if row["state"] == state and (told := _moment(row.get(name)))
    ]
    return min(times, default=None)


def read(
    row: ManifestRow, *, sha256: str, size: int, at: datetime
) -> tuple[dict[str, Any], Finding | None]:
    """Return the row of a file that was read to its end."""
    moment = _text(at)
    known = {
        name: value
        for name, value in row.items()
        if name not in ("reason", "asked_at", "changed")
    }
    known |= {"state": State.HASHED.value, "verified_at": moment}
    first, before = row.get("sha256"), digest_now(row)
    if not first:
        return known | {"size": size, "sha256": sha256, "hashed_at": moment}, None
    known.setdefault("hashed_at", moment)
    if sha256 == first:
        was_changed = "changed" in row
        finding = Finding(path=row["path"], before=before, now=sha256, is_back=True)
        return known, finding if was_changed else None
    if sha256 == before:
        return known | {"changed": row["changed"]}, None
    known["changed"] = {"sha256": sha256, "size": size, "found_at": moment}
    return known, Finding(path=row["path"], before=before, now=sha256)


def unavailable(row: ManifestRow, *, reason: str, at: datetime) -> dict[str, Any]:
    """Return the row of a file that was asked for in vain; what was known of it stays."""
    return dict(row) | {
        "state": State.UNAVAILABLE.value,
        "reason": reason,
        "asked_at": _text(at),
    }


def sized(row: ManifestRow, *, limit: int) -> dict[str, Any]:
    """Return the row of a file by whether it is too large; a hashed one stays hashed."""
    found = dict(row)
    if _size(row) > limit and row["state"] in (State.NOT_ASKED, State.UNAVAILABLE):
        found |= {
            "state": State.TOO_LARGE.value,
            "reason": f"It is larger than the {limit // 2**20:,} MiB that are hashed.",
        }
    return found


def digest_now(row: ManifestRow) -> str:
    """Return the digest that a file was last found to have, "" if that is not known."""
    return str((row.get("changed") or row).get("sha256", ""))


def listed(
    told: Sequence[ManifestRow],
    known: Sequence[ManifestRow],
    *,
    at: datetime,
    is_whole: bool,
    is_settled: bool,
) -> tuple[list[dict[str, Any]], list[Finding]]:
    """Join what a listing told of files, some of them read by it, with what was known.

    What was read once is not forgotten because it is no longer listed; nor is anything,
    if the listing is not whole. Files of a version that is not settled, because its run
    went on, may still become others: that is no finding.
    """
    before = {row["path"]: row for row in known}
    rows, findings = [], []
    for row in told:
        joined, finding = _joined(row, before.pop(row["path"], {}), at, is_settled)
        rows.append(joined)
        if finding:
            findings.append(finding)
    for row in before.values():
        if not is_whole:
            rows.append(dict(row))
        elif row.get("sha256") and is_settled:
            rows.append(unavailable(row, reason=NOT_LISTED, at=at))
    return sorted(rows, key=lambda row: row["path"]), findings


def _joined(
    row: ManifestRow, known: Mapping[str, Any], at: datetime, is_settled: bool
) -> tuple[dict[str, Any], Finding | None]:
    if row["state"] == State.HASHED:  # the sync read it
        first = {
            name: known[name]
            for name in ("sha256", "size", "hashed_at", "changed")
            if name in known and is_settled and known.get("sha256")
        }
        unread = {name: value for name, value in row.items() if name != "sha256"}
        return read(unread | first, sha256=row["sha256"], size=row["size"], at=at)
    if not known:
        return dict(row), None
    size_before = known.get("changed", known)["size"]
    told = {name: row[name] for name in _TOLD if name in row}
    kept = {name: value for name, value in known.items() if name not in _TOLD} | told
    if row["size"] in (None, size_before):
        if row["state"] == State.UNAVAILABLE:  # the sync asked for it in vain
            return unavailable(kept, reason=row["reason"], at=at), None
        return kept, None
    if not known.get("sha256") or not is_settled:
        return dict(row), None
    kept["changed"] = {"size": row["size"], "found_at": _text(at)}
    return kept, Finding(path=row["path"], before=digest_now(known), now="")


def _size(row: ManifestRow) -> int:
    """Return how large a file is now, as far as anybody told."""
    return row.get("changed", row)["size"] or 0


def _moment(told: Any) -> datetime | None:
    return datetime.fromisoformat(told) if told else None


def _text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
