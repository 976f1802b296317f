from collections.abc import Mapping
from typing import Any

class Env:
    EMAIL_SCHEMES: Mapping[str, str]
    @classmethod
    def db_url_config(cls, url: str) -> dict[str, Any]: ...
    @classmethod
    def email_url_config(cls, url: str) -> dict[str, Any]: ...
