"""Where everything is: the console, the API, webhooks, health."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from accounts.invitations import ChoosePassword
from mlflow_sync.api import Receiver
from verifywise import api, health, views

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path(
        "console/organization/", views.choose_organization, name="choose-organization"
    ),
    path(
        "console/password/<uidb64>/<token>/",
        ChoosePassword.as_view(),
        name="choose-password",
    ),
    path("console/", admin.site.urls),
    path("api/", include(api.urlpatterns)),
    re_path(
        r"^webhooks/mlflow/(?P<slug>[-\w]+)/(?P<key>[-\w]+)/?$",
        Receiver.as_view(),
        name="mlflow-webhook",
    ),
    path("healthz", health.healthz, name="healthz"),
]

# For programs in the API's words, elsewhere in Django's.
handler400 = "verifywise.problems.bad_request"
handler403 = "verifywise.problems.permission_denied"
handler404 = "verifywise.problems.not_found"
handler500 = "verifywise.problems.server_error"
