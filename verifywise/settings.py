"""All settings, read from top to bottom. What can be set from outside is in `docs/settings.md`.

A wrong, missing or unreadable variable stops the start with one sentence that names it.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import django_stubs_ext
from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from django.urls import reverse_lazy

from verifywise import env, navigation

django_stubs_ext.monkeypatch()  # lets generic classes of Django be written as such

# Where things are

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = (
    Path(env.text("DATA_DIR", default=str(BASE_DIR / "var"))).expanduser().absolute()
)
MEDIA_ROOT = env.text("MEDIA_ROOT", default=str(DATA_DIR / "media"))

# Database: the server at DATABASE_URL, or the embedded one under DATA_DIR

DATABASE_URL = env.text("DATABASE_URL", default="")
if DATABASE_URL:
    DATABASES: dict[str, Any] = {"default": env.database_url(DATABASE_URL)}
    _keys = env.required_keys()
else:
    DATABASES = {"default": env.embedded_database(DATA_DIR)}
    _keys = env.kept_keys(DATA_DIR)
DATABASES["default"] |= {
    "CONN_MAX_AGE": 60,
    "CONN_HEALTH_CHECKS": True,  # a restarted server costs no request
    "ATOMIC_REQUESTS": False,  # accounts.middleware opens a wider transaction
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Secrets: newest first, older ones still read

SECRET_KEY = _keys.secret_key
FIELD_ENCRYPTION_KEY = list(_keys.field_encryption_keys)
AUDIT_KEYS = list(_keys.audit_keys)

# Who may reach us

DEBUG = env.boolean("VERIFYWISE_DEBUG", default=False)
ALLOWED_HOSTS = env.names("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.names("CSRF_TRUSTED_ORIGINS", default=[])
HTTPS = env.boolean("VERIFYWISE_HTTPS", default=False)
if HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
SESSION_COOKIE_AGE = 12 * 60 * 60  # a working day
SESSION_COOKIE_NAME = "verifywise_session"
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# Whom we may reach: an MLflow in a private network is the rule on premises, and an
# open door to the host's own network in a shared installation.
ALLOW_PRIVATE_NETWORKS = env.boolean("VERIFYWISE_ALLOW_PRIVATE_NETWORKS", default=True)

INSTALLED_APPS = (
    "verifywise.apps.VerifyWiseConfig",
    "accounts",
    "inventory",
    "mlflow_sync",
    "compliance",
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "unfold.contrib.simple_history",
    "verifywise.apps.ConsoleConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_filters",
    "rest_framework",
    "knox",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_q",
    "simple_history",
    "axes",
    "csp",
)

MIDDLEWARE = (
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
    "accounts.middleware.TenancyMiddleware",  # last: all that views do is inside it
)

ROOT_URLCONF = "verifywise.urls"
WSGI_APPLICATION = "verifywise.wsgi.application"
TEMPLATES = (
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "accounts.middleware.organization",
            ],
        },
    },
)

# People and their passwords

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = (
    "axes.backends.AxesStandaloneBackend",  # counts failures, locks out
    "django.contrib.auth.backends.ModelBackend",
)
AUTH_PASSWORD_VALIDATORS = (
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("email", "name")},
    },
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
)
LOGIN_URL = reverse_lazy("admin:login")
LOGIN_REDIRECT_URL = reverse_lazy("admin:index")
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_USERNAME_FORM_FIELD = "username"  # what the sign-in form calls it
AXES_USERNAME_CALLABLE = "accounts.signing_in.username_tried"
AXES_LOCKOUT_CALLABLE = "verifywise.views.locked_out"
AXES_RESET_ON_SUCCESS = True
AXES_ENABLE_ADMIN = False  # its tables are of no organization
AXES_VERBOSE = False
SILENCED_SYSTEM_CHECKS = (
    "axes.W003",  # the backend is there; the check looks for another of its names
)

# Words and times

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True

# Pages and what browsers may load for them; nothing comes from another host

STATIC_URL = "static/"
STATICFILES_DIRS = (BASE_DIR / "templates" / "static",)
WHITENOISE_USE_FINDERS = True  # no build step: files are served from where they are
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        # Alpine, which dresses the console, evaluates expressions and sets styles.
        "script-src": [SELF, UNSAFE_EVAL],
        "style-src": [SELF, UNSAFE_INLINE],
    },
}

# The API

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": (
        "accounts.authentication.TokenAuthentication",
        "accounts.authentication.SessionAuthentication",
    ),
    "DEFAULT_PERMISSION_CLASSES": ("accounts.permissions.MemberPermission",),
    "DEFAULT_RENDERER_CLASSES": ("rest_framework.renderers.JSONRenderer",),
    "DEFAULT_PARSER_CLASSES": ("rest_framework.parsers.JSONParser",),
    "URL_FORMAT_OVERRIDE": None,  # ?format= would be a 404: Accept is for that
    "DEFAULT_FILTER_BACKENDS": (
        "verifywise.parameters.KnownParameters",  # first: it refuses what follows it
        "verifywise.parameters.Filters",
        "verifywise.parameters.Search",
        "verifywise.parameters.Ordering",
    ),
    "DEFAULT_PAGINATION_CLASS": "verifywise.pagination.Pages",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "verifywise.problems.problem_details",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
REST_KNOX = {
    "TOKEN_MODEL": "accounts.ApiToken",
    "AUTH_HEADER_PREFIX": "Bearer",
    "TOKEN_PREFIX": "vw_",
    "TOKEN_TTL": timedelta(days=365),
}
KNOX_TOKEN_MODEL = "accounts.ApiToken"  # noqa: S105 - a model's name
MIGRATION_MODULES = {
    "knox": None
}  # its own table is not used, and would not be made well
SPECTACULAR_SETTINGS = {
    "TITLE": "VerifyWise",
    "DESCRIPTION": (
        "What the console shows and does, for programs. Sign in with a session of the "
        "console or an API token (`Authorization: Bearer vw_…`). Lists have pages, "
        "filters, search and ordering; a parameter that is not known is refused. "
        "Errors are problem details (RFC 9457)."
    ),
    "VERSION": "1",
    "SORT_OPERATIONS": False,  # in the order of verifywise.api.ROUTES
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/",
    "SERVE_PERMISSIONS": ["accounts.permissions.MemberPermission"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "verifywise.openapi.say_null",
        "verifywise.openapi.declare_problems",
    ],
    "ENUM_NAME_OVERRIDES": {
        "AttestationState": "inventory.models.Attestation.State",
        "GapKind": "compliance.models.Gap.Kind",
        "GapStatus": "compliance.models.Gap.Status",
        "LifecycleStage": "inventory.models.registry.STAGES",
        "RuleKind": "compliance.api.fields.KINDS",
        "SourceKind": "inventory.models.Source.Kind",
        "SyncRunStatus": "mlflow_sync.models.SyncRun.Status",
        "UnregisteredModelState": "inventory.models.UnregisteredModel.State",
        "Verdict": "compliance.models.VERDICTS",
        "WaiverKind": "compliance.models.Waiver.Kind",
        "WaiverScope": "compliance.models.Waiver.Scope",
        "WaiverStatus": "compliance.models.Waiver.Status",
    },
}

# Background work: jobs carry ids, are idempotent and count their own attempts.
# A prefetched job must not be handed out twice: retry > timeout × (1 + ⌈(queue_limit + 1) / workers⌉).

Q_CLUSTER = {
    "name": "verifywise",
    "orm": "default",
    "workers": env.integer("VERIFYWISE_WORKERS", default=2, least=1, most=64),
    "queue_limit": 2,
    "bulk": 1,
    "poll": 0.5,  # seconds: “Sync now” should start now
    "timeout": 600,
    "retry": 2400,
    "max_attempts": 3,
    "ack_failures": True,  # a failed job is not repeated: our own rows say what is next
    "catch_up": False,
    "recycle": 100,
    "save_limit": 250,
}
SYNC_JOB = "verifywise.jobs.sync"  # mlflow_sync may not know what follows a sync
SCHEDULED_SYNC_JOB = "verifywise.jobs.scheduled_sync"
EVALUATION_JOB = "verifywise.jobs.evaluate"
DUE_EVALUATION_JOB = "verifywise.jobs.evaluate_due"  # asked for by compliance, below it
SOURCE_FACTS = (
    "verifywise.pipeline.source_facts"  # compliance may not know who reads sources
)
SYNC_CRON = env.cron("SYNC_CRON", default="0 * * * *")

# How long a waiver may last

WAIVER_MAX_DAYS = env.integer("WAIVER_MAX_DAYS", default=366, least=1, most=3660)

# Mail, logs

vars().update(env.email_url("EMAIL_URL"))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        app: {"level": env.text("VERIFYWISE_LOG_LEVEL", default="INFO")}
        for app in (
            "verifywise",
            "accounts",
            "inventory",
            "mlflow_sync",
            "compliance",
            "django-q",
        )
    },
}

# The console

UNFOLD = navigation.UNFOLD
