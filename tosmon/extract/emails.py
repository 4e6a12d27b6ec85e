"""E-mail addresses that a content delivery network hides from robots, read as a browser shows them.

The key is drawn anew for each answer, so an address left encoded is a false change at every look.
"""

from __future__ import annotations

import re

PROTECTED = "/cdn-cgi/l/email-protection"
_HEX = re.compile(r"[0-9a-fA-F]{6,400}")


def decode_email(code: str) -> str | None:
    """The address in a `data-cfemail` code (a byte of key, then each byte exclusive-or the key), or `None`."""
    if not _HEX.fullmatch(code) or len(code) % 2:
        return None
    key, *rest = bytes.fromhex(code)
    try:
        address = bytes(byte ^ key for byte in rest).decode("utf-8")
    except UnicodeDecodeError:
        return None
    return address if "@" in address and address.isprintable() else None


def decode_link(href: str) -> str | None:
    """`mailto:` and the address for a protected link that carries its code, else `None`."""
    _, found, code = href.partition(PROTECTED + "#")
    if not found:
        return None
    # The code may hold a whole "address?subject=…".
    address = decode_email(code)
    return None if address is None else "mailto:" + address
