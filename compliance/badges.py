"""The numbers of the gap badges: open gaps by severity, missing fields apart.

They are kept on each version's evaluation, so a list of versions selects `evaluation`
along, and a list of models sums it up here.
"""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from compliance.models import Evaluation
from inventory.models import RegisteredModel

PREFIX = "gaps_"  # of the annotations: gaps_critical, …, gaps_missing_fields


def counts_by_model(model_ids: Collection[int]) -> dict[int, dict[str, int]]:
    """Return the counts of each model, over its present versions. Costs one query.

    For the models on one page; a model without evaluated version is left out.
    """
    rows = (
        Evaluation.objects.filter(
            version__registered_model__in=model_ids, version__absent_since=None
        )
        .order_by()
        .values_list("version__registered_model")
        .annotate(*(Sum(name) for name in Evaluation.COUNTS))
    )
    return {
        model_id: dict(zip(Evaluation.COUNTS, counts, strict=True))
        for model_id, *counts in rows
    }


def with_counts(models: QuerySet[RegisteredModel]) -> QuerySet[RegisteredModel]:
    """Annotate models with their counts, to filter and to order by them."""
    return models.annotate(
        **{
            f"{PREFIX}{name}": Coalesce(
                Sum(
                    f"versions__evaluation__{name}",
                    filter=Q(versions__absent_since=None),
                ),
                0,
            )
            for name in Evaluation.COUNTS
        }
    )
