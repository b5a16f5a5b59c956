"""Whether a request that changes something comes from a page of this marketplace, as far as browsers say it.

A browser sends the cookies of a site with whatever other pages have it send. It says from where:
`Sec-Fetch-Site` (Fetch Metadata Request Headers), and `Origin` (RFC 6454), which older ones send alone. A
program that is no browser says neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from hansa.core.errors import Code, Refused

_SAME_ORIGIN: Final = b"same-origin"
_BY_THE_PERSON: Final = b"none"
"""As by a bookmark."""


def check_own_page(headers: Mapping[bytes, bytes], origins: AbstractSet[bytes]) -> None:
    """Check that no page of somebody else has a browser send a request.

    Args:
        headers: Of the request; names in lower case.
        origins: Of this marketplace, as `https://market.example`.

    Raises:
        Refused: `Code.FORBIDDEN`.
    """
    site, origin = headers.get(b"sec-fetch-site"), headers.get(b"origin")
    if site == _SAME_ORIGIN:  # pages that send no referrer have the origin "null" even here
        return
    if site not in {None, _BY_THE_PERSON} or (origin is not None and origin not in origins):
        raise Refused(Code.FORBIDDEN, "A page of another origin sent this.")
