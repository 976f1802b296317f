"""Encrypted text that cannot be read wrongly, searched by mistake or stored in the clear.

django-encrypted-model-fields by itself answers a wrong key with the ciphertext, takes
a pasted ciphertext for its plain text, and stores SQL expressions of bulk updates as
text. All four are closed here.
"""

from __future__ import annotations

from typing import Any

from cryptography.fernet import InvalidToken
from django.db import models
from encrypted_model_fields.fields import EncryptedTextField, decrypt_str

from mlflow_sync.exceptions import UndecryptableSecret


class SecretTextField(EncryptedTextField):
    """Text encrypted with the newest FIELD_ENCRYPTION_KEY, readable with any of them.

    Reading a row that no key opens raises UndecryptableSecret.
    """

    def to_python(self, value: Any) -> Any:
        return models.TextField.to_python(self, value)

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        if value is None:
            return None
        try:
            return decrypt_str(value)
        except InvalidToken as error:
            raise UndecryptableSecret from error

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        if hasattr(value, "as_sql"):
            return value  # an expression of bulk_update: its values were prepared
        return super().get_db_prep_save(value, connection)

    def value_to_string(self, obj: models.Model) -> str:
        """Leave the secret out of dumps: what is restored has to be given anew."""
        return ""

    def get_lookup(self, lookup_name: str) -> Any:
        if lookup_name != "isnull":
            raise TypeError("An encrypted field cannot be searched.")
        return super().get_lookup(lookup_name)
