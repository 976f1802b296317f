"""The act of keeping a file that proves what somebody says."""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath
from typing import Any

from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction

from accounts import audit, tenancy
from accounts.permissions import require
from accounts.roles import Permission
from inventory.models import EvidenceFile

LARGEST = 20_000_000  # bytes
LONGEST_NAME = 255


def keep_file(upload: UploadedFile[Any]) -> EvidenceFile:
    """Store a file as evidence. Raises ValidationError where it is not one to keep."""
    require(Permission.ATTEST)
    name = PurePosixPath((upload.name or "").replace("\\", "/")).name
    size = upload.size or 0
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise ValidationError(
            {"file": "The file needs a name of up to 255 characters."}
        )
    if not size:
        raise ValidationError({"file": f"“{name}” is empty."})
    if size > LARGEST:
        raise ValidationError(
            {
                "file": f"“{name}” has {size:,} bytes, and an evidence file may have "
                f"{LARGEST:,}."
            }
        )
    digest = hashlib.sha256()
    for chunk in upload.chunks():
        digest.update(chunk)
    kept = EvidenceFile(
        name=name,
        content_type=(upload.content_type or "application/octet-stream")[:100],
        size=size,
        sha256=digest.hexdigest(),
        uploaded_by=tenancy.current_actor(),
    )
    with transaction.atomic():
        kept.file.save(name, upload, save=False)
        try:
            kept.save()
        except BaseException:
            kept.file.delete(save=False)
            raise
        audit.record(
            "evidence_file.added", kept, changes={"size": size, "sha256": kept.sha256}
        )
    return kept
