"""The access log: one line for each request, when the operator switched it on (`access_log`).

It has what tells requests apart and nothing that was in them: no query string, which holds what somebody
searches for, no header but the identifier of the request, no body. The path is as it was sent,
percent-encoded, and of a bounded length.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Final

import structlog

PATH_SHOWN_MAX_CHARS: Final = 256

log = structlog.get_logger("hansa.access")


def log_access(
    identifier: str, scope: MutableMapping[str, Any], surface: str, status: int, seconds: float
) -> None:
    """Write the line of a request that was answered."""
    client = scope.get("client")
    raw_path: bytes = scope.get("raw_path") or b""
    log.info(
        "request_answered",
        request_id=identifier,
        method=scope["method"],
        path=raw_path.partition(b"?")[0][:PATH_SHOWN_MAX_CHARS].decode("latin-1"),
        status=status,
        surface=surface,
        duration_ms=round(seconds * 1000, 3),
        client=client[0] if client else None,
    )
