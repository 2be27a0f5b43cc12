"""How settings are read. Each kind of value has one function, which refuses a value that could mean
something else; the message names the setting and never shows its value.

A refused value stops the process. An empty one means that the setting is not set.
"""

import math
import os
import re
from collections.abc import Collection, Mapping
from email.headerregistry import Address
from email.utils import getaddresses
from typing import Any, NoReturn, TypeVar
from urllib.parse import SplitResult, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.validators import validate_email

TRUE = {"true", "on", "yes", "y", "1"}
FALSE = {"false", "off", "no", "n", "0"}
Number = TypeVar("Number", int, float)

QUOTES = ("'", '"')

# RFC 8314, 3.3: port 465 is TLS from the first byte; 587 begins unencrypted and starts TLS later.
PORT_OF_TLS, PORT_OF_STARTTLS = 465, 587


class Environment:
    """The environment of the process. Every secret may also be given as a file: `NAME_FILE`."""

    def __init__(self, variables: Mapping[str, str] | None = None) -> None:
        self._variables = os.environ if variables is None else variables
        self.names: set[str] = set()  # of all settings that were read

    def text(self, name: str, default: str = "") -> str:
        return self.given(name) or default

    def given(self, name: str) -> str | None:
        """The value without the spaces around it, or None where it is not set at all."""
        raw = self._raw(name)
        if raw is None:
            return None
        value = raw.strip()
        if len(value) > 1 and value[0] in QUOTES and value[0] == value[-1]:
            refuse(name, "stands in quotation marks, which would be part of it. Leave them out.")
        if not value.isprintable():
            refuse(name, "holds a line break or another character that cannot be seen.")
        return value

    def _raw(self, name: str) -> str | None:
        self.names |= {name, f"{name}_FILE"}
        value, path = self._variables.get(name), self._variables.get(f"{name}_FILE")
        if not path:
            return value
        if value:
            refuse(name, f"is set, and {name}_FILE as well. Unset one of them.")
        try:
            with open(path, encoding="utf-8") as file:
                # A file ends with a newline, which does not belong to the secret.
                return file.read().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            refuse(f"{name}_FILE", f"names a file that cannot be read ({type(error).__name__}).")

    def required(self, name: str, hint: str) -> str:
        value = self.given(name)
        if not value:
            refuse(name, f"is not set. {hint} Or start `make demo`.")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        value = self.text(name).casefold()
        if value and value not in TRUE | FALSE:
            refuse(name, "is neither true nor false.")
        return value in TRUE if value else default

    def whole(self, name: str, default: int, *, at_least: int, at_most: int = 2**31 - 1) -> int:
        value = self.text(name)
        if value and not re.fullmatch(r"-?[0-9]{1,10}", value):
            refuse(name, "cannot be read. It is a whole number, such as 60.")
        return _within(name, int(value) if value else default, at_least, at_most)

    def seconds(self, name: str, default: float, *, at_most: float = 366 * 86400.0) -> float:
        value = self.text(name)
        if value and not re.fullmatch(r"-?[0-9]{1,10}(\.[0-9]{1,9})?", value):
            refuse(name, "cannot be read. It is a number of seconds, such as 60 or 0.5.")
        number = float(value) if value else default
        return _within(name, number, math.ulp(0.0), at_most)

    def one_of(self, name: str, default: str, choices: Collection[str]) -> str:
        value = self.text(name, default)
        if value not in choices:
            refuse(name, f"must be one of {', '.join(choices)}.")
        return value

    def listed(self, name: str) -> list[str]:
        """The parts between commas, without the spaces around each."""
        value = self.text(name)
        items = [item.strip() for item in value.split(",")] if value else []
        if not all(items):
            refuse(name, "has a comma with nothing before or after it.")
        if any(re.search(r"\s", item) for item in items):
            refuse(name, "has a space within one of its parts. Separate them by commas.")
        return list(dict.fromkeys(items))

    def hosts(self, name: str) -> list[str]:
        hosts = self.listed(name)
        if any(re.search(r"[/:@]", re.sub(r"^\[[0-9a-fA-F:.]+\]$", "", host)) for host in hosts):
            refuse(name, "holds host names alone: shop.example, without https:// and without port.")
        return hosts

    def origins(self, name: str) -> list[str]:
        return [self._origin(name, item) for item in self.listed(name)]

    def origin(self, name: str) -> str:
        """An origin such as `https://shop.example`, or an empty text."""
        value = self.text(name)
        return self._origin(name, value) if value else ""

    def email(self, name: str) -> str:
        """One e-mail address without a name, or an empty text."""
        value = self.text(name)
        try:
            if value:
                validate_email(value)
        except ValidationError:
            refuse(name, "is not one e-mail address, such as orders@shop.example.")
        return value

    def address(self, name: str) -> str:
        value = self.text(name)
        if value:
            _split(name, value)
        return value.rstrip("/")

    def cloudwatch_namespace(self, name: str) -> str:
        """A name such as `Shop`, or an empty text. CloudWatch API Reference, "PutMetricData"."""
        value = self.text(name)
        if value and not re.fullmatch(r"[A-Za-z0-9._/#-]{1,255}", value):
            refuse(name, "may hold letters, digits and . _ / # - and is 255 characters at most.")
        if value.upper().startswith("AWS/"):
            refuse(name, "begins with AWS/, which is kept for Amazon's own metrics.")
        return value

    def _origin(self, name: str, value: str) -> str:
        parts = _split(name, value)
        if parts.path not in {"", "/"}:
            refuse(name, "must end with the host name or port: https://shop.example, no path.")
        return f"{parts.scheme}://{parts.netloc.lower()}"

    def secret(self, name: str, *, begins: Collection[str] = (), hint: str = "") -> str:
        raw = self._raw(name)
        if not raw:
            return ""
        self.given(name)  # refuses quotation marks
        if raw != raw.strip():
            refuse(name, "begins or ends with a space or a line break.")
        _check_secret(name, raw, begins, hint)
        return raw

    def secrets(self, name: str, *, begins: Collection[str] = (), hint: str = "") -> list[str]:
        """Several secrets, separated by commas: the new one and those before it."""
        found = self.listed(name)
        for secret in found:
            _check_secret(name, secret, begins, hint)
        return found

    def mailbox(self, name: str, *, sender: str) -> str:
        """One e-mail address, with or without a name before it."""
        value = self.text(name)
        if not value:
            return str(Address(display_name=sender, addr_spec="shop@localhost"))
        found = getaddresses([value])
        try:
            [(_, address)] = found
            validate_email(address)
        except (ValueError, ValidationError):
            refuse(
                name,
                "is no single address. It looks like My Shop <shop@shop.example>; a "
                'name with a comma stands in quotation marks: "Shop, Ltd" <shop@shop.example>.',
            )
        return value

    def mail_server(self, name: str) -> dict[str, Any]:
        looks = "It looks like smtp+tls://user:password@host:587."
        try:
            url: dict[str, Any] = environ.Env.email_url_config(self.text(name, "consolemail://"))
        except (ImproperlyConfigured, ValueError):
            refuse(name, f"cannot be read. {looks}")
        if url.get("OPTIONS") is not None:
            refuse(name, f"has a part after a question mark, of which nothing is known. {looks}")
        port = url.get("EMAIL_PORT")
        if url.get("EMAIL_USE_TLS") and port == PORT_OF_TLS:
            refuse(name, f"asks for TLS later at port {port}. There it is smtp+ssl://…")
        if url.get("EMAIL_USE_SSL") and port == PORT_OF_STARTTLS:
            refuse(name, f"asks for TLS at once at port {port}. There it is smtp+tls://…")
        return url

    def database(self, name: str) -> dict[str, Any]:
        looks = "It looks like postgres://user:password@host:5432/name."
        value = self.required(name, "Set it to postgres://user:password@host:5432/name.")
        if value.partition(":")[0] not in {"postgres", "postgresql", "psql", "pgsql"}:
            refuse(
                name,
                "must name a PostgreSQL database (postgres://…): the promise of one order for one "
                "purchase rests on its constraints and row locks.",
            )
        try:
            url: dict[str, Any] = environ.Env.db_url_config(value)
        except (ImproperlyConfigured, ValueError):
            refuse(name, f"cannot be read. {looks}")
        return url

    def mistyped(self) -> list[tuple[str, str]]:
        """Variables that are set but not read, each with the setting that was probably meant."""
        return [
            (given, known)
            for given in sorted(set(self._variables) - self.names)
            for known in sorted(self.names)
            if known not in self._variables and _is_nearly(given, known)
        ]


def refuse(name: str, why: str) -> NoReturn:
    raise ImproperlyConfigured(f"{name} {why}") from None


def _within(name: str, number: Number, at_least: float, at_most: float) -> Number:
    if not at_least <= number <= at_most:
        least = f"{at_least:g} or more" if at_least >= 1 or not at_least else "more than 0"
        refuse(name, f"must be {least}, and {at_most:.0f} at most.")
    return number


def _split(name: str, value: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        is_fine = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        is_fine = False
    if not is_fine or re.search(r"\s", value):
        refuse(name, "is no address. It looks like https://shop.example.")
    if parts.query or parts.fragment or "@" in parts.netloc:
        refuse(name, "must hold no user, no password, no ? and no #.")
    return parts


def _check_secret(name: str, secret: str, begins: Collection[str], hint: str) -> None:
    if begins and not (secret.isascii() and secret.isprintable() and " " not in secret):
        refuse(name, "has a space in it, or a character that is none of a key's.")
    if begins and not secret.startswith(tuple(begins)):
        refuse(name, f"does not begin with {' or '.join(begins)}. {hint}".rstrip())


def _is_nearly(given: str, known: str) -> bool:
    """Whether the names differ only in underscores or in an S at the end."""
    bare = [name.replace("_", "").upper().removesuffix("S") for name in (given, known)]
    return bare[0] == bare[1]
