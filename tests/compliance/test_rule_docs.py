from __future__ import annotations

from compliance.engine import rulebook
from compliance.rule_docs import PAGE, rules_page


def test_the_page_of_rules_is_fresh():
    assert PAGE.read_text(encoding="utf-8") == rules_page(), (
        "Write it anew: python -m compliance.rule_docs"
    )


def test_the_page_names_every_rule_that_exists_and_no_other():
    page = rules_page()
    for rule in rulebook:
        assert rule.id in page
    assert "VW-CARD-001" not in page
