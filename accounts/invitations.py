"""How a new member comes to a password: by a link that works once, for three days.

With mail set up the link goes to the person's address only, which proves that it is
theirs. Without, whoever adds a new account is shown the link to pass on; an account
that somebody else added and nobody has signed in to is then not accepted
(`accounts.members`), because another administrator may hold the link to it.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.forms import SetPasswordForm
from django.contrib.auth.tokens import default_token_generator
from django.contrib.auth.views import PasswordResetConfirmView
from django.core.mail import send_mail
from django.http import HttpRequest, HttpResponse
from django.urls import reverse, reverse_lazy
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from unfold.widgets import INPUT_CLASSES

from accounts import signing_in
from accounts.models import Organization, User


def mail_is_set_up() -> bool:
    """Tell whether mail leaves this installation."""
    return not settings.EMAIL_BACKEND.endswith(
        (".console.EmailBackend", ".dummy.EmailBackend")
    )


def link_for(user: User, request: HttpRequest) -> str:
    """Return the address at which the user chooses a password, once."""
    path = reverse(
        "choose-password",
        args=[
            urlsafe_base64_encode(force_bytes(user.pk)),
            default_token_generator.make_token(user),
        ],
    )
    return request.build_absolute_uri(path)


def mail(user: User, organization: Organization, link: str) -> None:
    """Send somebody the link. Raises OSError when the mail server does not take it."""
    send_mail(
        f"You are a member of {organization} in VerifyWise",
        f"Choose your password here within three days:\n\n{link}\n\n"
        f"You sign in with {user.email}.\n",
        None,
        [user.email],
    )


class NewPasswordForm(SetPasswordForm):  # type: ignore[type-arg] # not at runtime
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs["class"] = " ".join(INPUT_CLASSES)


class ChoosePassword(PasswordResetConfirmView):
    """Where the link leads: two fields and a button."""

    template_name = "accounts/choose_password.html"
    form_class = NewPasswordForm
    title = "Choose your password"
    success_url = reverse_lazy("admin:index")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        site = admin.site.each_context(self.request)
        return site | super().get_context_data(**kwargs)

    def form_valid(self, form: SetPasswordForm[User]) -> HttpResponse:
        response = super().form_valid(form)
        signing_in.tell(form.user, "password.chosen")
        return response
