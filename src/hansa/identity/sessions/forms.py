"""Whether a request that changes something comes from a page of this marketplace, in the same session.

A cookie is sent along with whatever any page has a browser send. So what changes something says in addition
what only a page of this session knows, a token that is a digest over the session's name under a key of this
marketplace; and the browser says where the page is from (`Sec-Fetch-Site`, or else `Origin`): from here.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from hansa.core.base64url import to_base64url
from hansa.core.errors import Code, Refused
from hansa.core.own_pages import check_own_page
from hansa.core.web_addresses import DEFAULT_PORTS, web_address
from hansa.identity.sessions.interface import Headers, Session

PURPOSE: Final = b"hansa session forms 1"
"""Of the key, where it is derived from the marketplace's secret."""
CSRF_HEADER: Final = b"x-csrf-token"


class Forms:
    """Makes and checks the tokens of forms.

    Args:
        key: Of this marketplace, for nothing else.
        endpoint: Where it is reached.
    """

    def __init__(self, key: bytes, endpoint: str) -> None:
        self._key = key
        self._origin = _origin(endpoint)

    def token(self, session: Session) -> str:
        """What a form of a session carries."""
        return to_base64url(hmac.new(self._key, session.name, hashlib.sha256).digest())

    def check(self, session: Session, headers: Headers, token: str) -> None:
        """Check that a request comes from a page of a session.

        Raises:
            Refused: `Code.FORBIDDEN`.
        """
        self.check_origin(headers)
        if not hmac.compare_digest(self.token(session).encode(), token.encode("utf-8", "replace")):
            raise Refused(
                Code.FORBIDDEN,
                "The form is of another session, or too old: load the page again (X-CSRF-Token).",
            )

    def check_origin(self, headers: Headers) -> None:
        """Check that a request comes from a page of this marketplace, under its own name or the browser's.

        Raises:
            Refused: `Code.FORBIDDEN`.
        """
        host = headers.get(b"host", b"")
        check_own_page(headers, {self._origin, b"http://" + host, b"https://" + host})


def _origin(endpoint: str) -> bytes:
    """The origin of an address as browsers write it: without the port that the scheme has by default."""
    address = web_address(endpoint)
    return address.origin.removesuffix(f":{DEFAULT_PORTS[address.scheme]}").encode("ascii")
