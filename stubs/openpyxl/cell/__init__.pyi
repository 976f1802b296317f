from openpyxl.styles import Font
from openpyxl.worksheet import WriteOnlyWorksheet

class WriteOnlyCell:
    value: str | int | float | None
    data_type: str
    quotePrefix: bool
    font: Font
    def __init__(
        self, ws: WriteOnlyWorksheet | None = ..., value: str | int | float | None = ...
    ) -> None: ...
