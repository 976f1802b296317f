from typing import ClassVar, TypeVar

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

M = TypeVar("M", bound=Model)

class ModelAdmin(admin.ModelAdmin[M]):
    compressed_fields: ClassVar[bool]
    list_filter_submit: ClassVar[bool]
    request: HttpRequest
