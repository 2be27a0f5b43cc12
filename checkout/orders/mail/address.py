"""One spelling of an e-mail address, however it was typed: to store, to send to and to compare.

Capital letters before the @ are kept, for a mail server may distinguish them; comparing ignores
them. A domain has two forms, and mail goes to the one in ASCII (RFC 5891); so that one is stored.
"""

import unicodedata

from django.db.models import Q

# Chinese and Japanese keyboards write these dots (UTS 46, "IDNA Compatibility Processing").
DOTS = str.maketrans("。．｡", "...")


def one_spelling(typed: str) -> str:
    """The address without invisible characters, in plain letters, with its domain in ASCII. A text
    that is no address comes back as far as it was understood; the caller's check refuses it."""
    visible = "".join(sign for sign in typed if unicodedata.category(sign) != "Cf")
    plain = unicodedata.normalize("NFKC", visible.translate(DOTS)).strip()
    name, at, domain = plain.rpartition("@")
    return f"{name}{at}{_in_ascii(domain)}" if at else plain


def has_address(typed: str) -> Q:
    """Whether `email` is this address, with either form of its domain; upper(email) is indexed."""
    address = one_spelling(typed)
    return Q(email__iexact=address) | Q(email__iexact=_in_letters(address))


def _in_ascii(domain: str) -> str:
    if domain.isascii():
        return domain.lower()
    import idna  # large tables, which few addresses need

    try:
        return idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        return domain.lower()


def _in_letters(address: str) -> str:
    name, _, domain = address.rpartition("@")
    if "xn--" not in domain:
        return address
    import idna

    try:
        return f"{name}@{idna.decode(domain)}"
    except idna.IDNAError:
        return address
