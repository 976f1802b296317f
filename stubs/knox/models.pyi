from datetime import timedelta
from typing import Any, ClassVar, TypeVar

from django.db import models

T = TypeVar("T", bound=AbstractAuthToken)

class AuthTokenManager(models.Manager[T]):
    def create(  # type: ignore[override]
        self,
        user: Any,
        expiry: timedelta | None = ...,
        prefix: str | None = None,
        **kwargs: Any,
    ) -> tuple[T, str]: ...

class AbstractAuthToken(models.Model):
    digest: models.CharField[str, str]
    token_key: models.CharField[str, str]
    created: models.DateTimeField[Any, Any]
    expiry: models.DateTimeField[Any, Any]
    objects: ClassVar[AuthTokenManager[Any]]
    class Meta:
        abstract: ClassVar[bool]
