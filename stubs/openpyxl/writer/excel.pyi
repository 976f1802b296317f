from zipfile import ZipFile

from openpyxl import Workbook

class ExcelWriter:
    def __init__(self, workbook: Workbook, archive: ZipFile) -> None: ...
    def save(self) -> None: ...
