"""The project's settings, for a gunicorn on the test database with test pages."""

from __future__ import annotations

import os

from verifywise.settings import *  # noqa: F403 - settings are read top to bottom
from verifywise.settings import DATABASES

DATABASES["default"]["NAME"] = os.environ["SERVED_DATABASE"]
ROOT_URLCONF = "tests.accounts.served"
