"""The cookie of a session: for one marketplace, over a secure connection, out of the reach of scripts.

`__Host-` has browsers take it from this host alone, for all of its paths, and only over a secure connection
(RFC 6265bis, section 4.1.3.2); Chromium counts plain HTTP on a loopback address as such, which a marketplace
that is tried out has. Cookies do not know ports: so that several marketplaces on one machine do not take each
other's, the name ends with a digest of the marketplace's DID.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from hansa.core.base64url import to_base64url
from hansa.core.http import SESSION_COOKIE_PREFIX

ATTRIBUTES: Final = "Path=/; Secure; HttpOnly; SameSite=Lax"
IDENTIFIER_SIZE_BYTES: Final = 32

_IDENTIFIER: Final = re.compile("[A-Za-z0-9_-]{43}", re.ASCII)
_NAME_SUFFIX_CHARS: Final = 12


class SessionCookie:
    """The cookie of the marketplace with a DID."""

    def __init__(self, did: str) -> None:
        suffix = hashlib.sha256(did.encode()).hexdigest()[:_NAME_SUFFIX_CHARS]
        self.name: Final = f"{SESSION_COOKIE_PREFIX}{suffix}"
        self._start: Final = f"{self.name}=".encode("ascii")

    def read(self, cookies: bytes | None) -> str | None:
        """What a browser has, by its header `Cookie`; None when it has none, or more than one."""
        if cookies is None or self._start not in cookies:
            return None
        start = self._start
        values = [
            part[len(start) :] for part in map(bytes.strip, cookies.split(b";")) if part.startswith(start)
        ]
        if len(values) != 1:
            return None
        value = values[0].decode("latin-1")
        return value if _IDENTIFIER.fullmatch(value) else None

    def set(self, identifier: bytes) -> str:
        """What has a browser keep an identifier, until it is closed."""
        assert len(identifier) == IDENTIFIER_SIZE_BYTES, "an identifier has 256 bits"
        return f"{self.name}={to_base64url(identifier)}; {ATTRIBUTES}"

    def cleared(self) -> str:
        """What has a browser forget it."""
        return f"{self.name}=; {ATTRIBUTES}; Max-Age=0"
