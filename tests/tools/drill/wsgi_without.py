"""The shop's WSGI application without the guard that DRILL_WITHOUT names."""

import os

from config.wsgi import application
from tests.tools.drill.without import GUARDS

GUARDS[os.environ["DRILL_WITHOUT"]]()

__all__ = ["application"]
