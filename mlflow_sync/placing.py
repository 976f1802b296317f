"""Which of our models each one means that MLflow tells: known, renamed, made anew.

MLflow keeps a model's creation time, to the millisecond, through a rename, and a name
may have gone from one model to another. So what is told under a name that we do not
know, or know of a model made at another time, waits until all names are told.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from django.utils.timezone import now

from accounts import audit
from inventory import store
from inventory.models import RegisteredModel, Source
from inventory.records import ModelRecord

Renamed = list[tuple[RegisteredModel, str]]


@dataclass(slots=True)
class Placing:
    """The registered models of one sync. Its methods work inside `acting_for`.

    A sync that is not whole was told a few names only: there, a name that we do not
    know is renamed or new, and which of them only a whole sync can tell.
    """

    source: Source
    is_whole: bool = True
    previous: datetime | None = None  # when the last sync of the whole registry began
    names: set[str] = field(default_factory=set)  # all that were told
    _waiting: list[ModelRecord] = field(default_factory=list)
    _is_first: bool | None = None

    def store(self, records: list[ModelRecord]) -> None:
        """Store the models of a page that are known; the others wait for `finish`."""
        models = RegisteredModel.objects.filter(source=self.source)
        if self._is_first is None:
            self._is_first = self.is_whole and not models.exists()
        if self._is_first:
            self._write(records)
            return
        named = models.present().filter(name__in=[record.name for record in records])
        known = {row.name: row for row in named.only("name", "created_at")}
        placed = [
            record
            for record in records
            if (row := known.get(record.name)) and store.meant([row], record.created_at)
        ]
        self._write(placed)
        there = {record.name for record in placed}
        self._waiting += [record for record in records if record.name not in there]

    def finish(self) -> None:
        """Store those that waited: renamed, told again after an absence, or new."""
        if not self._waiting:
            return
        if not self.is_whole:
            self._leave_what_may_be_renamed()
        renamed = self._renamed() if self.is_whole else []
        before = {row.pk: row.name for row, _ in renamed}
        holders = RegisteredModel.objects.present().filter(
            source=self.source, name__in=[name for _, name in renamed]
        )
        store.mark_models_absent(
            list(holders.exclude(pk__in=before)), at=now(), previous_sync=self.previous
        )
        store.rename_models(renamed)
        for row, name in renamed:
            audit.record(
                "registered_model.renamed",
                row,
                changes={"name": {"from": before[row.pk], "to": name}},
            )
        self._write(self._waiting)
        self._waiting = []

    def _leave_what_may_be_renamed(self) -> None:
        """Leave to a whole sync what has the creation time of a model of another name."""
        times = [record.created_at for record in self._waiting if record.created_at]
        taken = set(
            RegisteredModel.objects.present()
            .filter(source=self.source, created_at__in=times)
            .exclude(name__in=[record.name for record in self._waiting])
            .values_list("created_at", flat=True)
        )
        self._waiting = [
            record for record in self._waiting if record.created_at not in taken
        ]

    def _write(self, records: list[ModelRecord]) -> None:
        store.store_models(self.source, records, at=now(), previous_sync=self.previous)

    def _renamed(self) -> Renamed:
        """Pair rows with the names they have now, where their creation time decides."""
        times = Counter(record.created_at for record in self._waiting)
        placed = self.names - {record.name for record in self._waiting}
        free: defaultdict[datetime | None, list[RegisteredModel]] = defaultdict(list)
        for row in RegisteredModel.objects.filter(
            source=self.source, created_at__in=[at for at in times if at]
        ):
            if row.is_absent or row.name not in placed:
                free[row.created_at].append(row)
        renamed: Renamed = []
        for record in self._waiting:
            rows = free[record.created_at]
            if times[record.created_at] > 1 or record.name in {r.name for r in rows}:
                continue  # nothing decides; or it was absent, under this very name
            rows = [row for row in rows if not row.is_absent] or rows
            if len(rows) == 1:
                renamed.append((rows[0], record.name))
        return renamed
