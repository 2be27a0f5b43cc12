"""Named places in the flow at which a test can make the process die."""

import os
import signal

from django.conf import settings


def fault_point(name: str) -> None:
    """Do nothing, unless `FAULT_POINT` names this place: then die as if the machine had failed."""
    if name == settings.FAULT_POINT:
        os.kill(os.getpid(), signal.SIGKILL)
