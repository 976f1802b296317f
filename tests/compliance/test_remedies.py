"""Remedies are copied into a shell or a notebook: names must arrive as they are."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.catalogue import catalogue
from compliance.remedies import literal, remedy_for


def test_a_remedy_is_the_very_call_for_this_model_and_version():
    entry = catalogue().rules["VW-PRIV-001"]
    remedy = remedy_for(entry, model_name="credit-scoring", version_number=3)
    assert remedy.text == "Complete the privacy assessment, and record it."
    assert remedy.code.splitlines()[0] == (
        'client.set_model_version_tag("credit-scoring", "3", '
        '"privacy_assessment_status", "completed")'
    )


def test_a_rule_that_no_call_can_satisfy_has_only_words():
    entry = catalogue().rules["VW-INV-007"]
    assert remedy_for(entry, model_name="credit", version_number=3).code == ""


@pytest.mark.parametrize(
    "name",
    [
        'bob\'s "best" model',
        "back\\slash",
        "{version}",
        '"); import os; os.system("',
        "line\nbreak",
        "right\u202eleft",
    ],
)
def test_a_model_name_cannot_break_out_of_the_call(name):
    code = remedy_for(
        catalogue().rules["VW-INV-001"], model_name=name, version_number=3
    ).code
    (call,) = ast.parse(code).body
    assert ast.literal_eval(call.value.args[0]) == name
    assert "\u202e" not in code
    assert "\n" not in code


@given(st.text())
def test_a_literal_says_what_the_text_is(text):
    assert ast.literal_eval(literal(text)) == text
    assert literal(text).startswith('"')
