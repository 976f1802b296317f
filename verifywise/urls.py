"""Where everything is: the console, the API, health."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from accounts.invitations import ChoosePassword
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
    path("healthz", health.healthz, name="healthz"),
]

# Below /api/ in the API's words, elsewhere in Django's.
handler400 = "verifywise.problems.bad_request"
handler403 = "verifywise.problems.permission_denied"
handler404 = "verifywise.problems.not_found"
handler500 = "verifywise.problems.server_error"
