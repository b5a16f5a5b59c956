r"""Where a browser may be sent after a login or a logout: to a path of this marketplace, never elsewhere.

Browsers read more than one spelling of an address as another site: `//host`, `/\host`, a tab or a line break
before it, a scheme. So a path is one only if it is written in the characters of RFC 3986 and begins with one
slash alone.
"""

from __future__ import annotations

import re
from typing import Final

RETURN_PATH_MAX_CHARS: Final = 2048

_PATH: Final = re.compile(r"/(?![/\\])[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*", re.ASCII)


def local_path(text: str) -> str | None:
    """The text, when it is a path of this marketplace, perhaps with a query; else None."""
    is_path = len(text) <= RETURN_PATH_MAX_CHARS and _PATH.fullmatch(text) is not None
    return text if is_path and "/../" not in text else None
