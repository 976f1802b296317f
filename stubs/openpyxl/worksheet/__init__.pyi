from collections.abc import MutableMapping
from typing import Any

class ColumnDimension:
    width: float

class WriteOnlyWorksheet:
    freeze_panes: str | None
    column_dimensions: MutableMapping[str, ColumnDimension]
    def append(self, row: list[Any] | tuple[Any, ...]) -> None: ...
