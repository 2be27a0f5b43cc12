"""django-oscar as its documentation sets it up ("Building your own shop"), on Postgres."""

import environ
import oscar
from oscar.defaults import *  # noqa: F403 - as its documentation has it

SECRET_KEY = "for-benchmarks-only"
DATABASES = {"default": environ.Env().db("DATABASE_URL")}
INSTALLED_APPS = oscar.INSTALLED_APPS
SITE_ID = 1
USE_TZ = True
TIME_ZONE = "UTC"
HAYSTACK_CONNECTIONS = {"default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
OSCAR_DEFAULT_CURRENCY = "EUR"
