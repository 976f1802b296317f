"""What gunicorn serves: `gunicorn verifywise.wsgi`."""

from __future__ import annotations

import os
import sys

from django.core.wsgi import get_wsgi_application

from verifywise.env import SettingError

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "verifywise.settings")
try:
    application = get_wsgi_application()
except SettingError as error:
    sys.exit(f"VerifyWise cannot start: {error}")
