from __future__ import annotations

from compliance.catalogue import catalogue
from compliance.rule_docs import PAGE, rules_page


def test_the_page_of_rules_is_fresh():
    assert PAGE.read_text(encoding="utf-8") == rules_page(), (
        "Write it anew: python -m compliance.rule_docs"
    )


def test_the_page_names_every_rule_of_the_catalogue():
    page = rules_page()
    for rule_id in catalogue().rules:
        assert f"## {rule_id}\n" in page
