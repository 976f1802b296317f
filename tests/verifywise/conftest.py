"""What only the tests of the roof want."""

from __future__ import annotations

from tests.demo_fixtures import demo_servers

__all__ = ("demo_servers",)
