"""The inventory's pages. `compliance.admin` adds what is judged, and registers them."""

from __future__ import annotations

from inventory.admin.attestations import AttestationAdmin
from inventory.admin.models import RegisteredModelAdmin
from inventory.admin.people import PersonNameAdmin
from inventory.admin.unregistered import UnregisteredModelAdmin
from inventory.admin.versions import Act, ModelVersionAdmin

__all__ = (
    "Act",
    "AttestationAdmin",
    "ModelVersionAdmin",
    "PersonNameAdmin",
    "RegisteredModelAdmin",
    "UnregisteredModelAdmin",
)
