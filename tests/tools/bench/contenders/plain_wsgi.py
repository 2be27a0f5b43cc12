"""The shop's server with the plain view in place of its own."""

import os

from django.core.wsgi import get_wsgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.tools.bench.contenders.plain_settings"

application = get_wsgi_application()
