from typing import Any, ClassVar, TypeVar

from django.contrib import admin
from django.db.models import Model

M = TypeVar("M", bound=Model)

class ModelAdmin(admin.ModelAdmin[M]):
    compressed_fields: ClassVar[bool]
    list_filter_submit: ClassVar[bool]
    request: Any
