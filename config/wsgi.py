import os

from django.core.wsgi import get_wsgi_application

from checkout.middleware.wsgi import readable_by_django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = readable_by_django(get_wsgi_application())
