"""What happens to gaps, in words that everybody uses."""

from __future__ import annotations

from django.db import models


class GapEvent(models.TextChoices):
    """What a result did to the gap of its rule."""

    OPENED = "opened", "Opened"
    REOPENED = "reopened", "Reopened"
    REFRESHED = "refreshed", "Refreshed"
    CLOSED = "closed", "Closed"
    UNDECIDED = "undecided", "Cannot be checked"
    WAIVED = "waived", "Waived"
    UNWAIVED = "unwaived", "Open again"
    NONE = "none", "Nothing"
