from openpyxl.styles import Font
from openpyxl.worksheet import WriteOnlyWorksheet

class WriteOnlyCell:
    value: str | int | float | None
    quotePrefix: bool
    font: Font
    @property
    def style_id(self) -> int: ...
    def __init__(
        self, ws: WriteOnlyWorksheet | None = ..., value: str | int | float | None = ...
    ) -> None: ...
