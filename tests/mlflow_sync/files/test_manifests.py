"""What is known of a file when it is listed or read anew, without any server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mlflow_sync.files import manifests
from mlflow_sync.files.manifests import Finding, Wishes

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
BEFORE = "2026-02-01T12:00:00Z"
A, B, C = "a" * 64, "b" * 64, "c" * 64
MIB = 2**20
DAY = timedelta(days=1)

LISTED = {"path": "model.pkl", "size": 10, "type": "model", "state": "not_asked"}
KNOWN: dict[str, Any] = LISTED | {
    "state": "hashed", "sha256": A, "hashed_at": BEFORE, "verified_at": BEFORE,
}  # fmt: skip
CHANGED = KNOWN | {"changed": {"sha256": B, "size": 12, "found_at": BEFORE}}
RESIZED = KNOWN | {"changed": {"size": 12, "found_at": BEFORE}}
LOST = KNOWN | {"state": "unavailable", "reason": "It is gone.", "asked_at": BEFORE}


def told(**changes: Any) -> dict[str, Any]:
    return LISTED | changes


def join(
    row: dict[str, Any] | None,
    known: dict[str, Any] | None,
    *,
    is_whole: bool = True,
    is_settled: bool = True,
) -> tuple[dict[str, Any] | None, list[Finding]]:
    rows, findings = manifests.listed(
        [row] if row else [],
        [known] if known else [],
        at=AT,
        is_whole=is_whole,
        is_settled=is_settled,
    )
    return (rows[0] if rows else None), findings


class TestReading:
    def test_the_first_digest_is_kept_with_when_it_was_read(self) -> None:
        row, finding = manifests.read(LISTED, sha256=A, size=10, at=AT)

        assert row == LISTED | {
            "state": "hashed", "sha256": A,
            "hashed_at": "2026-03-01T12:00:00Z", "verified_at": "2026-03-01T12:00:00Z",
        }  # fmt: skip
        assert finding is None

    def test_the_same_again_only_moves_when_that_was_found(self) -> None:
        row, finding = manifests.read(KNOWN, sha256=A, size=10, at=AT)

        assert row == KNOWN | {"verified_at": "2026-03-01T12:00:00Z"}
        assert finding is None

    @pytest.mark.parametrize(
        ("known", "sha256", "before"),
        [(KNOWN, B, A), (CHANGED, C, B), (RESIZED, B, ""), (LOST, B, A)],
    )
    def test_another_digest_stands_beside_the_first_and_is_told(
        self, known: dict[str, Any], sha256: str, before: str
    ) -> None:
        row, finding = manifests.read(known, sha256=sha256, size=12, at=AT)

        assert (row["sha256"], row["size"], row["hashed_at"]) == (A, 10, BEFORE)
        assert row["changed"] == {
            "sha256": sha256, "size": 12, "found_at": "2026-03-01T12:00:00Z",
        }  # fmt: skip
        assert row["state"] == "hashed"
        assert not row.keys() & {"reason", "asked_at"}
        assert finding == Finding(path="model.pkl", before=before, now=sha256)
        assert finding.action == "artifact.changed"

    def test_a_change_that_is_known_is_no_news(self) -> None:
        row, finding = manifests.read(CHANGED, sha256=B, size=12, at=AT)

        assert row["changed"] == CHANGED["changed"]
        assert finding is None

    @pytest.mark.parametrize("known", [CHANGED, RESIZED])
    def test_what_is_as_it_was_first_again_is_told_too(
        self, known: dict[str, Any]
    ) -> None:
        row, finding = manifests.read(known, sha256=A, size=10, at=AT)

        assert "changed" not in row
        assert finding is not None
        assert finding.action == "artifact.restored"


class TestListing:
    @pytest.mark.parametrize("known", [KNOWN, LOST, told(state="too_large")])
    def test_a_file_of_the_same_size_keeps_all_that_is_known(
        self, known: dict[str, Any]
    ) -> None:
        assert join(told(type="archive"), known) == (known | {"type": "archive"}, [])

    def test_a_changed_file_is_compared_by_the_size_it_has_now(self) -> None:
        assert join(told(size=12), CHANGED) == (CHANGED, [])

    def test_a_file_of_another_size_has_changed_and_is_to_be_read(self) -> None:
        row, (finding,) = join(told(size=11), KNOWN)

        assert row is not None
        assert row["sha256"] == A
        assert row["changed"] == {"size": 11, "found_at": "2026-03-01T12:00:00Z"}
        assert (finding.before, finding.now) == (A, "")
        assert Wishes.at(AT, limit=MIB, every=365 * DAY).want(row)

    def test_a_file_that_the_sync_read_is_compared(self) -> None:
        read = told(state="hashed", sha256=B, size=12)

        row, (finding,) = join(read, KNOWN)

        assert row is not None
        assert (row["sha256"], row["changed"]["sha256"]) == (A, B)
        assert finding.now == B
        row, findings = join(read, None)
        assert row is not None
        assert row["hashed_at"] == "2026-03-01T12:00:00Z"
        assert findings == []

    @pytest.mark.parametrize(
        "row", [told(size=11), told(state="hashed", sha256=B, size=12)]
    )
    def test_while_a_run_goes_on_its_files_may_become_others(
        self, row: dict[str, Any]
    ) -> None:
        joined, findings = join(row, KNOWN, is_settled=False)

        assert joined is not None
        assert "changed" not in joined
        assert joined.get("sha256") == row.get("sha256")
        assert findings == []

    def test_a_file_that_could_not_be_read_keeps_its_digest(self) -> None:
        row, _ = join(told(state="unavailable", reason="(500)"), KNOWN)

        assert row is not None
        assert (row["state"], row["reason"], row["sha256"]) == (
            "unavailable",
            "(500)",
            A,
        )

    def test_a_file_that_is_no_longer_listed_is_not_forgotten_if_it_was_read(
        self,
    ) -> None:
        row, _ = join(None, KNOWN)

        assert row is not None
        assert row["reason"] == manifests.NOT_LISTED
        assert row["sha256"] == A
        assert join(None, LISTED) == (None, [])
        assert join(None, LISTED, is_whole=False) == (LISTED, [])


class TestWishes:
    @pytest.mark.parametrize(
        ("row", "is_wanted"),
        [
            (LISTED, True),
            (told(size=None), True),
            (told(size=2 * MIB), False),
            (told(state="too_large"), True),  # the limit was raised
            (KNOWN, False),
            (KNOWN | {"verified_at": "2026-01-30T12:00:00Z"}, True),
            ({key: KNOWN[key] for key in KNOWN if key != "verified_at"}, True),
            (CHANGED, False),
            (RESIZED, True),
            (RESIZED | {"changed": {"size": 2 * MIB}}, False),
            (LOST, True),
            (LOST | {"asked_at": "2026-03-01T00:00:00Z"}, False),
        ],
    )
    def test_what_was_not_read_for_long_is_wanted(
        self, row: dict[str, Any], is_wanted: bool
    ) -> None:
        assert Wishes.at(AT, limit=MIB, every=30 * DAY).want(row) is is_wanted

    def test_who_asks_now_gets_all_that_was_not_read_since(self) -> None:
        wishes = Wishes.all_since(AT, limit=MIB)

        assert wishes.want(KNOWN | {"verified_at": "2026-03-01T11:59:59Z"})
        assert not wishes.want(KNOWN | {"verified_at": "2026-03-01T12:00:01Z"})

    def test_never_read_ones_come_first_then_the_oldest(self) -> None:
        old = KNOWN | {"path": "old", "verified_at": "2025-01-01T00:00:00Z"}
        older = KNOWN | {"path": "older", "verified_at": "2024-01-01T00:00:00Z"}
        wishes = Wishes.at(AT, limit=MIB, every=DAY)

        due = wishes.due([old, older, told(path="z"), told(path="b")])

        assert [row["path"] for row in due] == ["b", "z", "older", "old"]

    def test_the_next_time_is_that_of_the_first_file(self) -> None:
        def due(*rows: dict[str, Any]) -> datetime | None:
            return manifests.next_due(rows, limit=MIB, every=30 * DAY)

        assert due(told(state="too_large"), KNOWN | {"size": 2 * MIB}) is None
        assert due(KNOWN) == datetime(2026, 3, 3, 12, tzinfo=UTC)
        assert due(KNOWN, LOST) == datetime(2026, 2, 2, 12, tzinfo=UTC)
