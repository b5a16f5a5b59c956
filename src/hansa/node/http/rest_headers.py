"""Headers of the responses beside the TM Forum APIs: whom they are for, and which pages may read them.

The rules are those of `hansa.business.http.shared_headers`: pages of every origin read, without a token, what
everybody may read (`/league/v1`, health, descriptions); those of an allowed origin send tokens too. Pages for
people are for their own origin alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Final

from hansa.business.http.shared_headers import FOR_ALL, FOR_ONE, READS, Header, SharedHeaders
from hansa.core.http import MEMBER_TOKEN_HEADER, has_credentials
from hansa.core.identifiers import Entropy
from hansa.core.request_id import HEADER as REQUEST_ID
from hansa.core.request_id import request_id_header
from hansa.identity.provider.metadata import DISCOVERY_PATH, JWKS_PATH

CACHE_CONTROL: Final = b"cache-control"
MEMBER_TOKEN: Final = MEMBER_TOKEN_HEADER.lower().encode()
VARY: Final = f"Accept, Accept-Encoding, Authorization, Cookie, {MEMBER_TOKEN_HEADER}".encode()
"""What such a response depends on, beside the origin."""
CONTENT_LANGUAGE: Final = b"content-language"
"""A page has it, and was made for its reader's language."""
OF_PAGES: Final = b", Accept-Language"
OPEN_PREFIXES: Final = ("/league/",)
OPEN_PATHS: Final = frozenset({"/livez", "/readyz", DISCOVERY_PATH, JWKS_PATH})
DESCRIPTIONS: Final = ("/docs/", ".json")


class RestHeaders:
    """What is added to such a response.

    Args:
        shared: The origins that the operator allowed.
        entropy: For the identifiers of requests.
    """

    def __init__(self, shared: SharedHeaders, entropy: Entropy) -> None:
        self._shared = shared
        self._entropy = entropy
        self._vary: Final = VARY + b", Origin" if shared.varies_by_origin else VARY

    def of(self, scope: MutableMapping[str, Any], status: int, headers: Iterable[Header]) -> list[Header]:
        """The further headers of the response to a request, which has that status and those already."""
        requested = dict(scope["headers"])
        response = {name.lower(): value for name, value in headers}
        method, origin = scope["method"], requested.get(b"origin")
        has_token = names_caller(requested)
        vary = self._vary + OF_PAGES if CONTENT_LANGUAGE in response else self._vary
        added: list[Header] = [(b"vary", vary)]
        if status >= 400 or REQUEST_ID in requested:
            added.append(request_id_header(scope, self._entropy))
        if CACHE_CONTROL not in response:
            added.append((CACHE_CONTROL, FOR_ONE if has_token else FOR_ALL))
        elif has_token and response[CACHE_CONTROL] == FOR_ALL:
            added.append((CACHE_CONTROL, FOR_ONE))
        may_be_read = is_open(scope["path"])
        added += self._shared.cross_origin(
            origin, has_token=has_token, is_open=may_be_read and method in READS
        )
        if method == "OPTIONS":
            allowed = tuple(response.get(b"allow", b"").decode("latin-1").split(", "))
            later = requested.get(b"access-control-request-method")
            added += self._shared.preflight(origin, later, allowed, is_open=may_be_read)
        return added


def names_caller(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request says who calls: a client, a browser with a session, or a member."""
    return MEMBER_TOKEN in headers or has_credentials(headers)


def is_open(path: str) -> bool:
    """Whether pages of every origin may read at a path."""
    if path in OPEN_PATHS or path.startswith(OPEN_PREFIXES):
        return True
    start, end = DESCRIPTIONS
    return path.startswith(start) and path.endswith(end)
