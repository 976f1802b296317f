"""A registry in which people are at work: it changes in every way that MLflow allows."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.registry import Registry, unique

MAY_BE_DELETED = 8  # versions in all: more at once would stop a sync
MUST_STAY = 4
STAGES = ("None", "Staging", "Production", "Archived")
KEYS = ("owner", "risk_category", "data_sensitivity", "note")
ALIASES = ("champion", "challenger", "canary")


class Turmoil:
    """Models of one prefix in one experiment, changed step by step by seeded chance.

    `versions` is what there is now, name -> numbers; `made` and `deleted` count all
    versions that ever were made and deleted, `run_ids` has all runs. What is drawn is
    the same for the same seed, though names and ids are not.
    """

    def __init__(self, registry: Registry, chance: random.Random) -> None:
        self.prefix = unique("soak")
        self.versions: dict[str, list[str]] = {}
        self.made = self.deleted = 0
        self.run_ids: list[str] = []
        self._registry = registry
        self._chance = chance
        self._experiment = registry.experiment()
        for _ in range(chance.randint(4, 6)):
            self._new_model()
            for _ in range(chance.randint(0, 3)):
                self._new_version()

    def change(self, times: int) -> None:
        """Do a few things that may happen between two syncs."""
        for _ in range(times):
            self._chance.choice(self._changes())()

    def _changes(self) -> list[Callable[[], object]]:
        found: list[Callable[[], object]] = [
            self._new_model,
            self._new_version,
            self._tag_model,
            self._tag_version,
            self._untag_version,
            self._tag_run,
            self._log_late,
            self._describe,
            self._set_alias,
            self._drop_alias,
            self._move,
            self._rename,
        ]
        if self.deleted < MAY_BE_DELETED and self.made - self.deleted > MUST_STAY:
            found += [self._delete_version, self._delete_model, self._begin_anew]
        return found

    def _name(self) -> str:
        return self._chance.choice(list(self.versions))

    def _version(self) -> dict[str, str]:
        name = self._chance.choice([n for n in self.versions if self.versions[n]])
        return {"name": name, "version": self._chance.choice(self.versions[name])}

    def _word(self) -> str:
        return f"word{self._chance.randrange(1000)}"

    # What is made

    def _new_model(self, name: str = "") -> None:
        name = name or unique(self.prefix)
        self._registry.model(name, description=self._word())
        self.versions[name] = []
        self._new_version(name)

    def _new_version(self, name: str = "") -> None:
        name = name or self._name()
        run_id = self._registry.run(
            self._experiment,
            tags={"owner": f"{self._word()}@example.org"},
            params={"depth": str(self._chance.randint(1, 9))},
            metrics={"auc": self._chance.random()},
        )
        folder = f"{self._experiment}/{run_id}/artifacts/model"
        self._registry.put(f"{folder}/MLmodel", b"flavors: {sklearn: {}}")
        self._registry.put(f"{folder}/requirements.txt", b"scikit-learn==1.5.0")
        number = self._registry.version(
            name, source=f"runs:/{run_id}/model", run_id=run_id
        )
        self.run_ids.append(run_id)
        self.versions[name].append(number)
        self.made += 1

    # What is changed

    def _tag_model(self) -> None:
        tag = {"key": self._chance.choice(KEYS), "value": self._word()}
        self._registry.post("registered-models/set-tag", name=self._name(), **tag)

    def _tag_version(self) -> None:
        tag = {"key": self._chance.choice(KEYS), "value": self._word()}
        self._registry.post("model-versions/set-tag", **self._version(), **tag)

    def _untag_version(self) -> None:
        version, key = self._version(), self._chance.choice(KEYS)
        self._registry.post("model-versions/set-tag", **version, key=key, value="gone")
        self._registry.send("DELETE", "model-versions/delete-tag", **version, key=key)

    def _run_id(self) -> str:
        return self._chance.choice(self.run_ids)

    def _tag_run(self) -> None:
        self._registry.post(
            "runs/set-tag", run_id=self._run_id(), key="team", value=self._word()
        )

    def _log_late(self) -> None:
        self._registry.post(
            "runs/log-metric",
            run_id=self._run_id(),
            key="f1",
            value=self._chance.random(),
            timestamp=self._chance.randrange(10**12),
        )

    def _describe(self) -> None:
        self._registry.send(
            "PATCH",
            "model-versions/update",
            **self._version(),
            description=self._word(),
        )

    def _set_alias(self) -> None:
        alias = self._chance.choice(ALIASES)
        self._registry.post("registered-models/alias", **self._version(), alias=alias)

    def _drop_alias(self) -> None:
        version, alias = self._version(), self._chance.choice(ALIASES)
        self._registry.post("registered-models/alias", **version, alias=alias)
        self._registry.send(
            "DELETE", "registered-models/alias", name=version["name"], alias=alias
        )

    def _move(self) -> None:
        self._registry.post(
            "model-versions/transition-stage",
            **self._version(),
            stage=self._chance.choice(STAGES),
            archive_existing_versions=False,
        )

    def _rename(self) -> None:
        name, new_name = self._name(), unique(self.prefix)
        self._registry.post("registered-models/rename", name=name, new_name=new_name)
        self.versions[new_name] = self.versions.pop(name)

    # What goes

    def _delete_version(self) -> None:
        version = self._version()
        self._registry.send("DELETE", "model-versions/delete", **version)
        self.versions[version["name"]].remove(version["version"])
        self.deleted += 1

    def _delete_model(self) -> str:
        name = min(self.versions, key=lambda name: len(self.versions[name]))
        self._registry.send("DELETE", "registered-models/delete", name=name)
        self.deleted += len(self.versions.pop(name))
        return name

    def _begin_anew(self) -> None:
        """Delete a model and make another one under its name."""
        self._new_model(self._delete_model())
