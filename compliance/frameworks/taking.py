"""Handing a file of a report to a member, and keeping in the trail that they took it."""

from __future__ import annotations

from django.http import StreamingHttpResponse

from accounts import audit, tenancy
from accounts.permissions import require
from accounts.roles import Permission
from compliance.frameworks.control_map import Framework
from compliance.frameworks.exports.export import moment_text
from compliance.frameworks.exports.gathering import export_of
from compliance.frameworks.report import Scope


def taken(framework: Framework, scope: Scope, format_key: str) -> StreamingHttpResponse:
    """Return the file as a response, streamed; the console and the API come here.

    Raises NotAllowed where the role does not allow exports.
    """
    require(Permission.EXPORT)
    actor = tenancy.current_actor()
    export = export_of(framework, scope, format_key, generated_by=str(actor or ""))
    audit.record(
        "framework.exported",
        label=framework.name,
        changes={
            "framework": framework.id,
            "versions": export.report.versions,
            "of": scope.words,
            "as_of": moment_text(export.report.moment),
            "file": export.file_name,
        },
    )
    return StreamingHttpResponse(
        export.chunks(),
        content_type=export.content_type,
        headers={"Content-Disposition": f'attachment; filename="{export.file_name}"'},
    )
