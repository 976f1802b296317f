"""What the EU AI Act asks of models of a high-risk class, and of those that may be."""

from __future__ import annotations

from compliance.catalogue import control_data
from compliance.engine import (
    PASS,
    Outcome,
    demand,
    fail,
    missing,
    not_applicable,
    rulebook,
    unknown,
    without,
)
from compliance.facts import ModelFacts, day_of
from compliance.risk import A_HIGH_CLASS, EXEMPTIONS, HIGH_CLASS_READS, has_high_class
from compliance.suspicions import found, suspicions
from inventory.records import FIELDS, is_known

WORDS_READ = ("model_name", "business_purpose", "description", "intended_use")
PROVIDERS = ("provider", "both")
DEPLOYERS = ("deployer", "both")
CREDIT_AND_INSURANCE = ("5b", "5c")  # of Annex III: also private deployers assess
CRITICAL_INFRASTRUCTURE = "2"  # of Annex III: is not registered in the public database
ANNEX_IV = {
    item: tuple(told["needs"])
    for item, told in control_data()["annex_iv_coverage"].items()
}
ANNEX_IV_READS = tuple(
    dict.fromkeys(name for needs in ANNEX_IV.values() for name in needs)
)
# Flavors of models that write, draw or speak.
GENERATIVE = frozenset(
    {"openai", "langchain", "llama_index", "anthropic", "gemini", "mistral", "dspy",
     "diffusers"}
)  # fmt: skip
PROVIDER_READS = (
    *HIGH_CLASS_READS,
    "operator_role",
    "lifecycle_stage",
    "deployment_target",
)


def _words(facts: ModelFacts) -> tuple[str | None, ...]:
    return tuple(getattr(facts, name) for name in WORDS_READ)


def is_of_a_provider(facts: ModelFacts) -> bool | None:
    """A high-risk class, for which we answer as provider, on its way to production."""
    role = facts.operator_role
    demands = (
        has_high_class(facts),
        None if role is None else role in PROVIDERS,
        facts.aims_at_production,
    )
    if False in demands:
        return False
    return None if None in demands else True


@rulebook.rule("VW-REG-004", reads=(*WORDS_READ, "annex_iii_category", "incomplete"))
def suspected_area_is_settled(facts: ModelFacts) -> Outcome:
    """“none” is an answer: it says that somebody looked."""
    suspected = suspicions().area(*_words(facts))
    if suspected is None:
        return not_applicable("No word suggests an area of Annex III.")
    category, words = suspected
    seen = {"suggests": category, "by": words}
    if facts.annex_iii_category:
        return Outcome(PASS.verdict, inputs=seen)
    answer = missing(
        facts,
        f"“{words}” suggests Annex III category {category}, and none is declared.",
    )
    return Outcome(answer.verdict, answer.detail, seen)


@rulebook.rule(
    "VW-REG-005",
    reads=(
        "annex_iii_category",
        "declared_ai_act_class",
        "article_6_3_basis",
        "article_6_3_grounds",
        "profiles_natural_persons",
        "incomplete",
    ),
)
def exemption_is_documented(facts: ModelFacts) -> Outcome:
    if not facts.has_annex_iii_category:
        return not_applicable("No Annex III category is declared.")
    if facts.declared_ai_act_class not in ("limited", "minimal") and not (
        facts.article_6_3_basis
    ):
        return not_applicable("No exemption of Article 6(3) is claimed.")
    if facts.profiles_natural_persons:
        return fail("The model profiles natural persons, which rules an exemption out.")
    lacking = []
    if facts.article_6_3_basis not in EXEMPTIONS:
        lacking.append("the basis (a, b, c or d)")
    if not facts.article_6_3_grounds:
        lacking.append("written grounds")
    if facts.profiles_natural_persons is None:
        lacking.append("whether it profiles natural persons")
    if lacking:
        return missing(facts, f"Not recorded: {', '.join(lacking)}.")
    return PASS


@rulebook.rule("VW-REG-006", reads=(*WORDS_READ, "legal_clearance_ref", "incomplete"))
def prohibited_practice_is_cleared(facts: ModelFacts) -> Outcome:
    words = found(suspicions().prohibited, *_words(facts))
    if not words:
        return not_applicable("No word suggests a prohibited practice.")
    if facts.legal_clearance_ref:
        return Outcome(PASS.verdict, inputs={"by": words})
    return missing(
        facts,
        f"“{words}” suggests a prohibited practice, and no legal clearance is recorded.",
    )


@rulebook.rule(
    "VW-REG-007", reads=(*HIGH_CLASS_READS, "human_oversight_ref", "incomplete")
)
def human_oversight_is_documented(facts: ModelFacts) -> Outcome:
    return demand(
        facts,
        of=has_high_class(facts),
        whose=A_HIGH_CLASS,
        met=facts.human_oversight_ref,
        lacking="No human oversight is documented.",
    )


@rulebook.rule(
    "VW-REG-008",
    reads=tuple(
        dict.fromkeys(
            (*PROVIDER_READS, *ANNEX_IV_READS, "annex_iv_not_applicable", "incomplete")
        )
    ),
)
def annex_iv_file_is_complete(facts: ModelFacts) -> Outcome:
    """An item has evidence when every field that it needs is known."""
    lacking = {
        item: [name for name in needs if not is_known(getattr(facts, name))]
        for item, needs in ANNEX_IV.items()
        if item not in facts.annex_iv_not_applicable
    }
    told = [
        f"{item} ({', '.join(FIELDS[name].label.lower() for name in names)})"
        for item, names in lacking.items()
        if names
    ]
    return demand(
        facts,
        of=is_of_a_provider(facts),
        whose=f"{A_HIGH_CLASS}, from a provider and meant for production",
        met=not told,
        lacking=f"Annex IV lacks {'; '.join(told)}.",
    )


@rulebook.rule(
    "VW-REG-009",
    reads=(*PROVIDER_READS, "declaration_ref", "eu_database_id", "incomplete"),
)
def declaration_and_registration_are_on_file(facts: ModelFacts) -> Outcome:
    category = (facts.annex_iii_category or "").strip()
    lacking = without(
        {
            "declaration of conformity": facts.declaration_ref,
            "registration in the EU database": facts.eu_database_id,
        }
    )
    is_excepted = category.startswith(CRITICAL_INFRASTRUCTURE)
    return demand(
        facts,
        of=False if is_excepted else is_of_a_provider(facts),
        whose=f"{A_HIGH_CLASS}, from a provider, to be registered",
        met=not lacking,
        lacking=f"Not on file: {' and '.join(lacking)}.",
    )


@rulebook.rule(
    "VW-REG-010",
    reads=(
        "operator_role",
        "public_body",
        "annex_iii_category",
        "fria_ref",
        "fria_date",
        "production_since",
        "incomplete",
    ),
)
def fundamental_rights_are_assessed(facts: ModelFacts) -> Outcome:
    is_ours = facts.public_body
    if (facts.annex_iii_category or "").strip().casefold() in CREDIT_AND_INSURANCE:
        is_ours = True
    role = facts.operator_role
    if False in (is_ours, None if role is None else role in DEPLOYERS):
        return not_applicable(
            "It is asked of deployers that are public, or that judge credit or insure."
        )
    assessed, first_use = day_of(facts.fria_date), facts.production_since
    if facts.fria_date and assessed is None:
        return unknown(f"The assessment's date “{facts.fria_date}” is no date.")
    if assessed and first_use and assessed > first_use.date():
        return fail(
            f"The assessment of {assessed} was made after the first use, which was "
            f"seen on {first_use:%Y-%m-%d}."
        )
    lacking = without(
        {
            "the assessment": facts.fria_ref,
            "its date": assessed,
        }
    )
    return demand(
        facts,
        of=None if is_ours is None or role is None else True,
        whose="used by a deployer that has to assess fundamental rights",
        met=not lacking,
        lacking=f"Not on file: {' and '.join(lacking)}.",
    )


@rulebook.rule(
    "VW-REG-011",
    reads=(*HIGH_CLASS_READS, "lifecycle_stage", "monitoring_plan_ref", "incomplete"),
)
def monitoring_plan_is_on_file(facts: ModelFacts) -> Outcome:
    if not facts.is_production:
        return not_applicable("The version is not in production.")
    return demand(
        facts,
        of=has_high_class(facts),
        whose=A_HIGH_CLASS,
        met=facts.monitoring_plan_ref,
        lacking="No post-market monitoring plan is on file.",
    )


@rulebook.rule(
    "VW-REG-012",
    reads=(
        "regulatory_scope",
        *WORDS_READ,
        "model_type",
        "flavors",
        "transparency_notice",
        "incomplete",
    ),
)
def transparency_notice_is_given(facts: ModelFacts) -> Outcome:
    words = found(suspicions().people_facing, *_words(facts), facts.model_type)
    generative = sorted(GENERATIVE.intersection(facts.flavors))
    if not words and not generative:
        return not_applicable("Nothing tells that people converse with it.")
    in_scope = "eu_ai_act" in facts.regulatory_scope if facts.regulatory_scope else None
    return demand(
        facts,
        of=in_scope,
        whose="in the scope of the EU AI Act",
        met=facts.transparency_notice,
        lacking=f"No transparency notice is recorded, and “"
        f"{words or generative[0]}” tells of people who face it.",
    )
