"""The form of a tracking server. Credentials go in and never come out."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from accounts.console import ActForm
from mlflow_sync.exceptions import UndecryptableSecret
from mlflow_sync.models import SCOPE_FIELDS, TrackingServer, TrackingServerSecret
from mlflow_sync.servers import SECRET_FIELDS, Credentials, save_server

# How a server is read, after what it is and how it is reached.
SYNC_SETTINGS = (
    "reread_within",
    "concurrency",
    "request_budget",
    "vanish_percent",
    "vanish_always",
    "hash_files",
    "hash_limit",
    "rehash_days",
)
KEPT = "One is stored. Leave this empty to keep it."
UNREADABLE = (
    "The stored credentials open with no key of FIELD_ENCRYPTION_KEY. Give the key that "
    "they were stored with, or add the server anew."
)


def stored_secrets(server: TrackingServer) -> frozenset[str]:
    """Return which credentials are stored, never their values. Costs one query.

    Raises UndecryptableSecret where no key opens them.
    """
    secret = TrackingServerSecret.objects.filter(server=server).first()
    if secret is None:
        return frozenset()
    return frozenset(
        name for name in SECRET_FIELDS if getattr(secret, name) not in ("", "{}")
    )


class ServerForm(ActForm[TrackingServer]):
    name = forms.CharField(
        max_length=100,
        widget=UnfoldAdminTextInputWidget,
        help_text="As people here call it, such as “Production MLflow”.",
    )
    username = forms.CharField(
        label="User name", required=False, widget=UnfoldAdminTextInputWidget
    )
    password = forms.CharField(required=False, widget=UnfoldAdminPasswordWidget)
    token = forms.CharField(required=False, widget=UnfoldAdminPasswordWidget)
    headers = forms.CharField(
        label="Extra headers",
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="One “NAME: value” a line, for a proxy before MLflow.",
    )
    forget_credentials = forms.BooleanField(
        required=False,
        widget=UnfoldBooleanWidget,
        help_text="Forget all that is stored and not given anew above.",
    )

    class Meta:
        model = TrackingServer
        fields = (
            "url",
            "auth_method",
            "workspace",
            "verify_tls",
            "ca_bundle",
            "connect_timeout",
            "read_timeout",
            "read_artifacts",
            "is_enabled",
            *SYNC_SETTINGS,
            *SCOPE_FIELDS,
            "find_unregistered",
        )
        widgets: ClassVar[dict[str, forms.Widget]] = {
            "ca_bundle": UnfoldAdminTextareaWidget(attrs={"rows": 4}),
            **{
                name: UnfoldAdminTextareaWidget(attrs={"rows": 3})
                for name in SCOPE_FIELDS
            },
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in ("username", "password", "token"):
            self.fields[field].widget.attrs["autocomplete"] = "new-password"
        if self.instance.pk is None:
            del self.fields["forget_credentials"]
            return
        self.initial["name"] = self.instance.source.name
        try:
            stored = stored_secrets(self.instance)
        except UndecryptableSecret:
            stored = frozenset()
            self.fields["forget_credentials"].help_text = UNREADABLE
        for field in stored:
            self.fields[field].help_text = KEPT
            self.fields[field].widget.attrs["placeholder"] = "••••••••"

    def clean_headers(self) -> dict[str, str]:
        """Return name -> value; an empty text is no header."""
        headers = {}
        for number, line in enumerate(self.cleaned_data["headers"].splitlines(), 1):
            if not line.strip():
                continue
            name, colon, value = line.partition(":")
            if not colon or not name.strip() or not value.strip():
                raise ValidationError(
                    f"Line {number} is not of the form “NAME: value”."
                )
            headers[name.strip()] = value.strip()
        return headers

    def act(self) -> TrackingServer:
        try:
            return save_server(
                self.instance,
                name=self.cleaned_data["name"],
                credentials=self._credentials(),
            )
        except UndecryptableSecret as error:
            raise ValidationError(UNREADABLE) from error

    def _credentials(self) -> Credentials:
        """Return what was typed; what was left empty stays, unless it is to be forgotten."""
        forget = self.cleaned_data.get("forget_credentials", False)
        told = {
            name: self.cleaned_data[name] or ("" if forget else None)
            for name in ("username", "password", "token")
        }
        headers = self.cleaned_data["headers"] or ({} if forget else None)
        return Credentials(**told, headers=headers)
