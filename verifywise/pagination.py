"""Pages of API lists."""

from __future__ import annotations

from rest_framework.exceptions import ValidationError
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request


class Pages(PageNumberPagination):
    """50 rows a page; `page_size` asks for up to 500.

    A page that is no number is 400, one behind the last is 404.
    """

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500
    last_page_strings = ()
    invalid_page_message = "There is no page {page_number} of this list."

    def get_page_size(self, request: Request) -> int:
        told = request.query_params.get(self.page_size_query_param)
        if told is None:
            return self.page_size
        size = _positive(told)
        if not 0 < size <= self.max_page_size:
            raise ValidationError(
                {
                    self.page_size_query_param: "Ask for a whole number "
                    f"from 1 to {self.max_page_size}."
                }
            )
        return size

    def get_page_number(self, request: Request, paginator: object) -> int:
        number = _positive(request.query_params.get(self.page_query_param, "1"))
        if not number:
            raise ValidationError(
                {self.page_query_param: "Ask for a whole number from 1 on."}
            )
        return number


def _positive(told: str) -> int:
    """Read a whole number above 0; anything else is 0."""
    digits = told.isascii() and told.isdecimal() and len(told) < 10  # noqa: PLR2004
    return int(told) if digits else 0
