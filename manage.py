#!/usr/bin/env python
"""Django's command line, with configuration mistakes said in one line."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

from config.command_line import asks_for_help, need_no_settings, speak_at_once


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    speak_at_once()
    if asks_for_help(sys.argv):
        need_no_settings()
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"Configuration: {error}")


if __name__ == "__main__":
    main()
