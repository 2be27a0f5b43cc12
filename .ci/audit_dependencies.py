"""Asks for known vulnerabilities of what requirements.lock installs; arguments go to pip-audit.

A finding fails, unless .ci/waivers.txt says until when it is accepted and why. A service that does
not answer, or does not know our packages, fails nothing: that is said, and the rest goes on.
"""

import json
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
WAIVERS = ROOT / ".ci" / "waivers.txt"

# For the whole audit; each package is asked about on its own.
AUDIT_SECONDS = 300


def read_waivers(path: Path) -> dict[str, date]:
    """Vulnerability → the last day on which it is accepted."""
    waivers = {}
    for line in path.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            identifier, until, reason = line.split(maxsplit=2)
            assert reason
            waivers[identifier] = date.fromisoformat(until)
    return waivers


def findings(report: Any, waivers: dict[str, date], today: date) -> list[str]:
    found = []
    for package in report["dependencies"]:
        for vulnerability in package.get("vulns", []):
            names = [vulnerability["id"], *vulnerability.get("aliases", [])]
            if not any(today <= waivers.get(name, date.min) for name in names):
                fixed = ", ".join(vulnerability["fix_versions"]) or "no version yet"
                found.append(
                    f"{package['name']} {package['version']}: {names[0]}, fixed in {fixed}"
                )
    return found


def ask(arguments: list[str]) -> tuple[Any, str]:
    """The report, or None and why there is none."""
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes"]
    command += ["-r", str(ROOT / "requirements.lock"), "-f", "json", "--progress-spinner=off"]
    try:
        result = subprocess.run(
            [*command, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=AUDIT_SECONDS,
        )
        return json.loads(result.stdout), ""
    except subprocess.TimeoutExpired:
        return None, f"no end within {AUDIT_SECONDS} s"
    except ValueError:
        return None, (result.stderr.strip().splitlines() or ["no report"])[-1]


def main() -> int:
    report, why_not = ask(sys.argv[1:])
    if report is None:
        print(f"Dependencies were NOT audited: {why_not}")
        return 0
    packages = report["dependencies"]
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if skipped:
        print(
            f"{len(skipped)} of {len(packages)} dependencies were NOT audited, the service does "
            f"not know them: {', '.join(skipped)}"
        )
    found = findings(report, read_waivers(WAIVERS), datetime.now(UTC).date())
    if asked := len(packages) - len(skipped):
        print("\n".join(found) or f"{asked} dependencies have no open finding.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
