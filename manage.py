#!/usr/bin/env python
"""Run a management command; `python manage.py help` lists them."""

from __future__ import annotations

import os
import sys

from verifywise.env import SettingError


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "verifywise.settings")
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except SettingError as error:
        sys.exit(f"VerifyWise cannot start: {error}")


if __name__ == "__main__":
    main()
