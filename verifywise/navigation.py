"""How the console looks and what its sidebar lists (Unfold's settings)."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy

from accounts import tenancy
from accounts.roles import Permission


def may_view(request: HttpRequest) -> bool:
    return _may(Permission.VIEW)


def may_manage_members(request: HttpRequest) -> bool:
    return _may(Permission.MANAGE_MEMBERS)


def may_read_trail(request: HttpRequest) -> bool:
    return _may(Permission.READ_TRAIL)


def _may(permission: Permission) -> bool:
    acting = tenancy.current()
    return bool(acting and acting.organization_id and acting.may(permission))


def is_about_versions(request: HttpRequest) -> bool:
    """The pages of coverage lie below those of the versions, and have an item too."""
    versions = str(reverse_lazy("admin:inventory_modelversion_changelist"))
    coverage = str(reverse_lazy("admin:inventory_modelversion_coverage"))
    return request.path.startswith(versions) and not request.path.startswith(coverage)


def organization_name(request: HttpRequest) -> str:
    """Say in the header of every page which organization it is about."""
    acting = tenancy.current()
    return acting.organization_name if acting else ""


def _item(
    title: str, icon: str, page: str, allowed: str = "may_view"
) -> dict[str, Any]:
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{page}"),
        "permission": f"verifywise.navigation.{allowed}",
    }


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "VerifyWise",
    "SITE_HEADER": "VerifyWise",
    "SITE_SUBHEADER": organization_name,
    "SITE_SYMBOL": "verified_user",
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "type": "image/svg+xml",
            "href": lambda request: static("verifywise/favicon.svg"),
        }
    ],
    "SITE_URL": None,
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "DASHBOARD_CALLBACK": "verifywise.dashboard.overview",
    "STYLES": [lambda request: static("verifywise/console.css")],
    "SCRIPTS": [lambda request: static("verifywise/console.js")],
    "COLORS": {
        "primary": {
            "50": "oklch(97.7% .014 200)",
            "100": "oklch(94.6% .033 200)",
            "200": "oklch(90.2% .055 200)",
            "300": "oklch(82.7% .085 200)",
            "400": "oklch(71.4% .105 200)",
            "500": "oklch(58% .1 205)",
            "600": "oklch(48% .09 208)",
            "700": "oklch(41% .078 210)",
            "800": "oklch(35% .065 212)",
            "900": "oklch(30% .055 214)",
            "950": "oklch(22% .045 216)",
        },
    },
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": [
            {
                "items": [
                    {
                        "title": "Overview",
                        "icon": "dashboard",
                        "link": reverse_lazy("admin:index"),
                    },
                ]
            },
            {
                "title": "Inventory",
                "separator": True,
                "items": [
                    _item(
                        "Models",
                        "deployed_code",
                        "inventory_registeredmodel_changelist",
                    ),
                    {
                        **_item(
                            "Versions", "layers", "inventory_modelversion_changelist"
                        ),
                        "active": is_about_versions,
                    },
                    _item("Gaps", "rule", "compliance_gap_changelist"),
                    _item(
                        "Frameworks",
                        "account_balance",
                        "compliance_framework_changelist",
                    ),
                    _item("Waivers", "event_busy", "compliance_waiver_changelist"),
                    _item("Policies", "policy", "compliance_policy_changelist"),
                    _item(
                        "Coverage",
                        "background_grid_small",
                        "inventory_modelversion_coverage",
                    ),
                    _item(
                        "Attestations", "verified", "inventory_attestation_changelist"
                    ),
                    _item("People", "badge", "inventory_personname_changelist"),
                    _item(
                        "Unregistered models",
                        "help_center",
                        "inventory_unregisteredmodel_changelist",
                    ),
                ],
            },
            {
                "title": "MLflow",
                "separator": True,
                "items": [
                    _item(
                        "Tracking servers",
                        "dns",
                        "mlflow_sync_trackingserver_changelist",
                    ),
                    _item("Sync runs", "sync", "mlflow_sync_syncrun_changelist"),
                    _item(
                        "Words", "translate", "mlflow_sync_vocabularyentry_changelist"
                    ),
                ],
            },
            {
                "title": "Organization",
                "separator": True,
                "items": [
                    _item(
                        "Members",
                        "group",
                        "accounts_membership_changelist",
                        "may_manage_members",
                    ),
                    _item("API tokens", "key", "accounts_apitoken_changelist"),
                    _item(
                        "Audit trail",
                        "receipt_long",
                        "accounts_auditevent_changelist",
                        "may_read_trail",
                    ),
                ],
            },
        ],
    },
}
