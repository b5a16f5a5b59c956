"""The identifier of a request: in every log line that it causes, and in answers that report an error.

A client may choose it (`X-Request-Id`), in a form that is safe wherever it is written; any other one is
replaced. It is made when something needs it, so that a request that is answered and logs nothing costs
nothing.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any, Final

from hansa.core.identifiers import Entropy

HEADER: Final = b"x-request-id"
SCOPE_KEY: Final = "hansa.request_id"
"""Where the scope of a request has it, once it was needed."""
_CHOSEN: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")
_RANDOM_BYTES: Final = 12

Scope = MutableMapping[str, Any]

current_request: Final[ContextVar[Scope | None]] = ContextVar("current_request", default=None)
"""The scope of the request that is being answered, for the log."""


def request_id(scope: Scope, entropy: Entropy) -> str:
    """The identifier of a request: 8 to 64 letters, digits, `.`, `_` and `-`."""
    identifier: str | None = scope.get(SCOPE_KEY)
    if identifier is None:
        chosen = next((value for name, value in scope["headers"] if name == HEADER), b"")
        is_safe = _CHOSEN.fullmatch(chosen) is not None
        identifier = chosen.decode("ascii") if is_safe else entropy(_RANDOM_BYTES).hex()
        scope[SCOPE_KEY] = identifier
    return identifier


def request_id_header(scope: Scope, entropy: Entropy) -> tuple[bytes, bytes]:
    """The header of the answer that names it."""
    return HEADER, request_id(scope, entropy).encode("ascii")
