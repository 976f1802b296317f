"""What gunicorn serves: `gunicorn verifywise.wsgi`."""

from __future__ import annotations

import os
import sys

from django.core.wsgi import get_wsgi_application

from verifywise.checks import check_start
from verifywise.env import SettingError

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "verifywise.settings")
try:
    application = get_wsgi_application()
    check_start()
except SettingError as error:
    sys.exit(f"VerifyWise cannot start: {error}")
