"""Writes fresh secrets for compose.yaml into deploy/secrets, or into the folder that is named.

What is there is kept: a new password would not open the database of the old one.
"""

import secrets
import sys
from pathlib import Path


def main(folder: Path) -> None:
    if folder.exists():
        raise SystemExit(f"{folder} is there already, and is kept as it is.")
    password = secrets.token_urlsafe(24)
    contents = {
        "secret_key": secrets.token_urlsafe(50),
        "postgres_password": secrets.token_urlsafe(24),
        "database_password": password,
        "database_url": f"postgres://shop:{password}@pgbouncer:6432/shop",
        "pgbouncer_users": f'"shop" "{password}"',
        "stripe_secret_key": f"sk_test_{secrets.token_hex(12)}",  # the sandbox takes any
    }
    folder.mkdir(mode=0o700)
    for name, content in contents.items():
        file = folder / name
        file.write_text(content + "\n")
        # For the users of the containers. On this machine the folder keeps others out.
        file.chmod(0o444)


if __name__ == "__main__":
    main(Path(sys.argv[1] if sys.argv[1:] else Path(__file__).parent / "secrets"))
