from datetime import datetime

from openpyxl.worksheet import WriteOnlyWorksheet

class DocumentProperties:
    creator: str | None
    title: str | None
    created: datetime
    modified: datetime

class Workbook:
    properties: DocumentProperties
    def __init__(self, write_only: bool = ...) -> None: ...
    def create_sheet(self, title: str | None = ...) -> WriteOnlyWorksheet: ...
