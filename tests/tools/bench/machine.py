"""What a run was measured on: without it, no figure of it means anything."""

import os
import platform
import re
from datetime import date
from pathlib import Path
from typing import Any


def machine(postgres_version: str, *, today: date, minutes: float, run: str) -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "processor": _first(r"^model name\s*: (.*)$", "/proc/cpuinfo") or platform.processor(),
        "memory_gb": round(int(_first(r"^MemTotal:\s+(\d+)", "/proc/meminfo") or 0) / 1024**2),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "postgres": postgres_version,
        "date": today.isoformat(),
        "minutes": minutes,
        "run": run,
    }


def _first(pattern: str, path: str) -> str:
    try:
        found = re.search(pattern, Path(path).read_text(), re.MULTILINE)
    except OSError:
        return ""
    return found[1].strip() if found else ""
