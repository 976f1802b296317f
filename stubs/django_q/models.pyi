from typing import Any, ClassVar

from django.db import models

class Schedule(models.Model):
    CRON: ClassVar[str]
    func: models.CharField[str, str]
    args: models.TextField[str | None, str | None]
    name: models.CharField[str | None, str | None]
    next_run: models.DateTimeField[Any, Any]

class OrmQ(models.Model):
    key: models.CharField[str, str]
    payload: models.TextField[str, str]
    lock: models.DateTimeField[Any, Any]
