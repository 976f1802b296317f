"""Counting many versions at once says what counting them one by one says."""

from __future__ import annotations

import itertools
import random
from collections import Counter, defaultdict

import pytest

from compliance.frameworks.control_map import Framework, Strength, control_map
from compliance.frameworks.counting import (
    Counts,
    Masks,
    Segment,
    State,
    Stood,
    count,
)

FRAMEWORKS = control_map().frameworks


def one_by_one(framework: Framework, stood: list[Stood]) -> dict[Segment, Counts]:
    """Count as the words of the docs say it, a version at a time."""
    found: defaultdict[Segment, Counts] = defaultdict(Counter)
    for each in stood:
        if not each.is_version:
            for rule_id in set(framework.rules) & set(each.states):
                key = f"source:{rule_id}:{each.states[rule_id]}"
                found[Segment(False, False)][key] += 1
            continue
        declared = not framework.scope or bool(
            framework.scope & set(each.regulatory_scope)
        )
        counts = found[Segment(each.is_production, declared)]
        counts["versions"] += 1
        for name in set(framework.fields) & set(each.known):
            counts[f"field:{name}"] += 1
        for rule_id in set(framework.rules) & set(each.states):
            counts[f"rule:{rule_id}:{each.states[rule_id]}"] += 1
        for control in framework.controls.values():
            if any(control.fields.values()):
                best = next(
                    (
                        strength
                        for strength in Strength
                        if set(control.fields[strength]) & set(each.known)
                    ),
                    "none",
                )
                counts[f"{control.id}:{best}"] += 1
            states = {each.states.get(rule_id) for rule_id in control.rules}
            if worst := next((state for state in State if state in states), None):
                counts[f"{control.id}:{worst}"] += 1
    return dict(found)


def any_version(dice: random.Random, framework: Framework) -> Stood:
    return Stood(
        is_version=dice.random() > 0.1,
        is_production=dice.random() > 0.5,
        regulatory_scope=dice.sample(
            ["eu_ai_act", "gdpr", "hipaa"], dice.randint(0, 3)
        ),
        known=[name for name in framework.fields if dice.random() > 0.5],
        states={
            rule_id: dice.choice(list(State))
            for rule_id in framework.rules
            if dice.random() > 0.3
        },
    )


@pytest.mark.parametrize("framework_id", sorted(FRAMEWORKS))
def test_many_at_once_are_counted_as_one_by_one(framework_id: str) -> None:
    framework = FRAMEWORKS[framework_id]
    dice = random.Random(framework_id)
    stood = [any_version(dice, framework) for _ in range(70)]
    assert count(framework, Masks.of(stood)) == one_by_one(framework, stood)


@pytest.mark.parametrize(("worse", "better"), list(itertools.combinations(State, 2)))
def test_a_control_stands_by_the_worst_of_its_rules(
    worse: State, better: State
) -> None:
    framework = FRAMEWORKS["SOC2"]
    control = next(each for each in framework.controls.values() if len(each.rules) > 1)
    for states in (worse, better), (better, worse):
        stood = Stood(states=dict(zip(control.rules, states, strict=False)))
        counts = count(framework, Masks.of([stood]))[Segment(False, True)]
        told = {state: counts[f"{control.id}:{state}"] for state in State}
        assert told == dict.fromkeys(State, 0) | {worse: 1}


def test_what_is_not_known_is_no_evidence_and_not_forgotten() -> None:
    framework = FRAMEWORKS["GDPR"]
    counts = count(framework, Masks.of([Stood(), Stood(known=["data_sensitivity"])]))
    nowhere = counts[Segment(False, False)]
    assert nowhere["GDPR-30.1:none"] == 1
    assert nowhere["GDPR-30.1:direct"] == 1
    assert nowhere["versions"] == 2


def test_nobody_is_counted_as_nothing() -> None:
    assert count(FRAMEWORKS["EUAIA"], Masks.of([])) == {}
