"""Looks for keys and passwords in every line that was ever committed to this repository.

Finds what has the form of a credential. A password that looks like any other word stays unseen.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from detect_secrets.core.scan import scan_line
from detect_secrets.settings import transient_settings

# Those that know a form. Measures of randomness find hashes of lock files, and nothing else here.
FORMS = [
    "ArtifactoryDetector",
    "AWSKeyDetector",
    "AzureStorageKeyDetector",
    "BasicAuthDetector",
    "GitHubTokenDetector",
    "GitLabTokenDetector",
    "JwtTokenDetector",
    "MailchimpDetector",
    "NpmDetector",
    "OpenAIDetector",
    "PrivateKeyDetector",
    "PypiTokenDetector",
    "SendGridDetector",
    "SlackDetector",
    "StripeDetector",
    "TwilioKeyDetector",
]

# Stripe's webhook secrets and restricted keys, which no detector knows.
STRIPE = re.compile(r"\b(?:whsec|rk_live|sk_live)_[A-Za-z0-9]{24,}")

# What stands for a secret in documents and tests.
PLACEHOLDERS = re.compile(
    r"^(?:secret|password|pass|nothing|x|y|shop|tests|bench|\$.*|.*Canary.*|.*[{}].*)$",
    re.IGNORECASE,
)


def committed_lines(root: Path) -> Iterator[tuple[str, str]]:
    """(commit and file, line), each line once, of all branches."""
    log = subprocess.Popen(
        ["git", "log", "--all", "-p", "--no-color", "--no-ext-diff", "-m", "--format=commit %h"],
        cwd=root,
        stdout=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    assert log.stdout
    commit, file, seen = "", "", set()
    for line in log.stdout:
        if line.startswith("commit "):
            commit = line.split()[1]
        elif line.startswith("+++ "):
            file = line[4:].strip().removeprefix("b/")
        elif line.startswith("+") and line not in seen:
            seen.add(line)
            yield f"{commit} {file}", line[1:].rstrip("\n")
    if log.wait():
        raise SystemExit("git log failed: the history was not scanned.")


def secrets_in(line: str) -> list[str]:
    found = [
        secret.type
        for secret in scan_line(line)
        if not PLACEHOLDERS.match(secret.secret_value or "")
    ]
    return found + ["Stripe secret" for match in STRIPE.findall(line) if "Canary" not in match]


def main() -> int:
    root = Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).resolve().parent.parent
    lines, found = 0, []
    with transient_settings({"plugins_used": [{"name": name} for name in FORMS]}):
        for where, line in committed_lines(root):
            lines += 1
            found += [f"{where}: {kind}" for kind in secrets_in(line)]
    # Never the line: logs would be the next place it is found in.
    print("\n".join(found) or f"No secret in the {lines} lines that were ever committed.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
