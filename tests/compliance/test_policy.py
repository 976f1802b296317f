"""What a policy may say, what it may not, and what it means. Without a database."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import compliance.rules  # noqa: F401 - registers the rules
from compliance.catalogue import Gate, Severity, catalogue, is_always_on, parameters
from compliance.engine import rulebook
from compliance.exceptions import PolicyError
from compliance.policy import (
    DEFAULTS,
    Content,
    Setting,
    changes,
    judges_otherwise,
    read,
)
from compliance.policy_files import LARGEST, from_yaml, to_yaml

PRIVACY = "VW-PRIV-001"
PARITY = "demographic_parity_max"


def faults(raw: object) -> dict[str, str]:
    with pytest.raises(PolicyError) as refusal:
        read(raw)
    return dict(refusal.value.faults)


@pytest.mark.parametrize(
    ("raw", "place", "sentence"),
    [
        (
            ["starter"],
            "",
            "A policy is a mapping of packs, rules and parameters to what they are.",
        ),
        (
            {"packs": [], "rulez": {}},
            "rulez",
            "A policy has no “rulez”; it has packs, rules, parameters.",
        ),
        ({}, "packs", "A policy says which packs are on: packs is missing."),
        ({"packs": "starter"}, "packs", "packs is not a list: “starter”."),
        (
            {"packs": ["startr"]},
            "packs",
            "There is no pack “startr”; there are starter, adr005_gate, eu_ai_act, "
            "privacy_gdpr_hipaa, practice, part11.",
        ),
        ({"packs": [["starter"]]}, "packs", "There is no pack ['starter']; there are"),
        ({"packs": [], "rules": []}, "rules", "rules is not a mapping: []."),
        (
            {"packs": [], "rules": {"VW-NONE-001": {}}},
            "rules.VW-NONE-001",
            "There is no rule “VW-NONE-001”.",
        ),
        ({"packs": [], "rules": {7: {}}}, "rules.7", "There is no rule 7."),
        (
            {"packs": [], "rules": {PRIVACY: True}},
            f"rules.{PRIVACY}",
            "VW-PRIV-001 is not a mapping: True.",
        ),
        (
            {"packs": [], "rules": {PRIVACY: {"weight": 3}}},
            f"rules.{PRIVACY}",
            "VW-PRIV-001 has no “weight”; it has switched_on, severity, gate.",
        ),
        (
            {"packs": [], "rules": {PRIVACY: {"switched_on": "off"}}},
            f"rules.{PRIVACY}",
            "VW-PRIV-001: switched_on is neither true nor false: “off”.",
        ),
        (
            {"packs": [], "rules": {PRIVACY: {"severity": "grave"}}},
            f"rules.{PRIVACY}",
            "VW-PRIV-001: there is no severity “grave”; there are low, medium, high, "
            "critical.",
        ),
        (
            {"packs": [], "rules": {PRIVACY: {"gate": ["block"]}}},
            f"rules.{PRIVACY}",
            "VW-PRIV-001: there is no gate ['block']; there are block, review, warn, "
            "info.",
        ),
        (
            {"packs": [], "rules": {"VW-SEC-003": {"switched_on": False}}},
            "rules.VW-SEC-003",
            "VW-SEC-003 cannot be switched off: missing fields, and what was redacted, "
            "are gaps under every policy.",
        ),
        (
            {"packs": [], "parameters": 5},
            "parameters",
            "parameters is not a mapping: 5.",
        ),
        (
            {"packs": [], "parameters": {"parity": 1}},
            "parameters.parity",
            "There is no parameter “parity”.",
        ),
        (
            {"packs": [], "parameters": {PARITY: "0.1"}},
            f"parameters.{PARITY}",
            "demographic_parity_max is not a number: “0.1”.",
        ),
        (
            {"packs": [], "parameters": {PARITY: True}},
            f"parameters.{PARITY}",
            "demographic_parity_max is not a number: True.",
        ),
        (
            {"packs": [], "parameters": {PARITY: 1.2}},
            f"parameters.{PARITY}",
            "demographic_parity_max goes from 0 to 1 (absolute): 1.2 is out of range.",
        ),
        (
            {"packs": [], "parameters": {PARITY: float("nan")}},
            f"parameters.{PARITY}",
            "demographic_parity_max goes from 0 to 1 (absolute): nan is out of range.",
        ),
        (
            {"packs": [], "parameters": {PARITY: 10**9000}},
            f"parameters.{PARITY}",
            "demographic_parity_max goes from 0 to 1 (absolute): a number of many "
            "digits is out of range.",
        ),
    ],
)
def test_what_a_policy_cannot_say_is_refused_by_its_place(raw, place, sentence):
    found = faults(raw)
    assert list(found) == [place]
    assert found[place].startswith(sentence)


def test_every_fault_is_told_at_once():
    raw = {
        "packs": ["startr"],
        "rules": {PRIVACY: {"severity": "grave", "gate": "shut"}, "X": {}},
        "parameters": {PARITY: 2, "parity": 1},
    }
    assert set(faults(raw)) == {
        "packs",
        f"rules.{PRIVACY}",
        "rules.X",
        f"parameters.{PARITY}",
        "parameters.parity",
    }


def test_every_parameter_has_a_range_around_its_value():
    for parameter in catalogue().parameters.values():
        assert parameter.min <= parameter.value <= parameter.max
        assert parameter.min < parameter.max


# What it means


def test_the_defaults_are_the_starter_pack_as_catalogued():
    assert read({"packs": ["starter"]}) == DEFAULTS
    assert DEFAULTS.rules_on() == rulebook.switched_on(("starter",))
    assert DEFAULTS.thresholds == parameters()


def test_a_rule_goes_on_and_off_whatever_its_packs():
    content = read(
        {
            "packs": ["starter"],
            "rules": {
                PRIVACY: {"switched_on": False},
                "VW-PRIV-005": {"switched_on": True},
            },
        }
    )
    on = {rule.id for rule in content.rules_on()}
    assert on == {rule.id for rule in DEFAULTS.rules_on()} - {PRIVACY}
    nothing = read({"packs": [], "rules": {PRIVACY: {"switched_on": True}}})
    assert {rule.id for rule in nothing.rules_on() if not is_always_on(rule.entry)} == {
        PRIVACY
    }


def test_a_rule_is_graded_as_the_policy_says():
    content = read(
        {
            "packs": ["starter"],
            "rules": {PRIVACY: {"severity": "low", "gate": "info"}},
        }
    )
    (rule,) = (rule for rule in content.rules_on() if rule.id == PRIVACY)
    assert (rule.entry.severity, rule.entry.gate) == (Severity.LOW, Gate.INFO)
    assert rule.check is rulebook[PRIVACY].check
    assert rulebook[PRIVACY].entry.severity is Severity.CRITICAL


def test_one_meaning_has_one_digest():
    one = read({"packs": ["practice", "starter"], "parameters": {PARITY: 0.2}})
    other = read(
        {"parameters": {PARITY: 0.2}, "packs": ["starter", "practice", "starter"]}
    )
    assert one == other
    assert one.digest == other.digest != DEFAULTS.digest


def test_only_rules_that_are_judged_otherwise_need_to_be_judged_again():
    stricter = replace(DEFAULTS, parameters={PARITY: 0.05})
    assert judges_otherwise(DEFAULTS, stricter) == {
        rule.id for rule in DEFAULTS.rules_on() if PARITY in rule.thresholds
    }
    graver = replace(DEFAULTS, rules={PRIVACY: Setting(severity=Severity.LOW)})
    assert judges_otherwise(DEFAULTS, graver) == {PRIVACY}
    assert judges_otherwise(DEFAULTS, DEFAULTS) == frozenset()


# What changed


def test_each_difference_is_a_sentence():
    before = read(
        {
            "packs": ["starter"],
            "rules": {PRIVACY: {"severity": "high"}},
            "parameters": {"stale_staging_days": 30},
        }
    )
    after = read(
        {
            "packs": ["eu_ai_act"],
            "rules": {
                PRIVACY: {"gate": "warn"},
                "VW-INV-001": {"switched_on": False},
            },
            "parameters": {PARITY: 0.05},
        }
    )
    privacy = "VW-PRIV-001 “Personal data needs a privacy assessment”"
    assert changes(before, after) == [
        "The pack “Starter” is switched off.",
        "The pack “EU AI Act” is switched on.",
        "VW-INV-001 “Model has an owner” is switched off, whatever its packs.",
        f"{privacy}: severity high → critical (as catalogued).",
        f"{privacy}: gate block (as catalogued) → warn.",
        "demographic_parity_max: 0.1 (as catalogued) → 0.05 absolute.",
        "stale_staging_days: 30 → 90 (as catalogued) days.",
    ]


SOME_CONTENT = st.builds(
    lambda packs, rules, values: read(
        {
            "packs": packs,
            "rules": rules,
            "parameters": {
                name: known.min + share * (known.max - known.min)
                for name, share in values.items()
                if (known := catalogue().parameters[name])
            },
        }
    ),
    st.lists(st.sampled_from(sorted(catalogue().packs))),
    st.dictionaries(
        st.sampled_from([rule.id for rule in rulebook if not is_always_on(rule.entry)]),
        st.fixed_dictionaries(
            {},
            optional={
                "switched_on": st.booleans(),
                "severity": st.sampled_from(["low", "medium", "high", "critical"]),
                "gate": st.sampled_from(["block", "review", "warn", "info"]),
            },
        ),
    ),
    st.dictionaries(
        st.sampled_from(sorted(catalogue().parameters)), st.floats(0, 1), max_size=4
    ),
)


@given(SOME_CONTENT, SOME_CONTENT)
def test_two_contents_differ_exactly_where_there_is_a_sentence_about_it(one, other):
    assert changes(one, one) == []
    assert bool(changes(one, other)) == (one != other) == (one.digest != other.digest)


# Files


@given(SOME_CONTENT)
def test_what_is_exported_can_be_imported_and_means_the_same(content):
    assert from_yaml(to_yaml(content, about="Policy 3 of Acme:\nas drafted")) == content


def test_a_file_can_be_read_by_people():
    content = Content(rules={PRIVACY: Setting(switched_on=False, gate=Gate.WARN)})
    assert to_yaml(content, about="Policy 1 of Acme") == (
        "# Policy 1 of Acme\n"
        "packs:\n- starter\n"
        "rules:\n  VW-PRIV-001:\n    switched_on: false\n    gate: warn\n"
        "parameters: {}\n"
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "A policy is a mapping"),
        ("packs: [", "The file is no YAML: "),
        (b"packs: [\xff]", "The file is no text in UTF-8."),
        ("packs: []\npacks: [starter]", "The file is no YAML: “packs” is there twice"),
        (
            "packs: &all [starter]\nrules: {}\nparameters: *all",
            "The file is no YAML: a policy has no aliases in line 3.",
        ),
        ("!!python/object/apply:os.system [id]", "The file is no YAML: could not det"),
        ("packs: [\x00]", "The file is no YAML: "),
        ("? [a]\n: b", "The file is no YAML: "),
        ("[" * 30_000, "The file is nested too deep to be a policy."),
        ("#" * (LARGEST + 1), "The file is longer than 64 kB: that is no policy."),
        (f"packs: []\nparameters: {{{PARITY}: 0x{'f' * 9000}}}", "demographic_parity"),
        (f"packs: []\nparameters: {{{PARITY}: .inf}}", "demographic_parity_max goes"),
        (f"packs: []\nparameters: {{{PARITY}: {'9' * 9000}}}", "The file is no YAML"),
    ],
)
def test_a_file_that_is_no_policy_is_refused_with_a_sentence(text, sentence):
    with pytest.raises(PolicyError) as refusal:
        from_yaml(text)
    assert str(refusal.value).startswith(sentence)
