"""Reads that wait for an event of the ledger: `?min-position=`.

Whoever wrote at one marketplace, or through one, and reads at another, says how far that must have followed
the ledger. The read waits for a bounded time, outside the number of requests that are worked on.
"""

from __future__ import annotations

from typing import Final

from hansa.business.http.messages import Request
from hansa.core.errors import Code, Refused
from hansa.core.forwarding import LedgerPositions
from hansa.core.http import has_credentials

MIN_POSITION: Final = b"min-position"
POSITION_MAX: Final = 2**53


async def wait_for_position(request: Request, positions: LedgerPositions | None) -> None:
    """Wait for the position that a request names, and take the parameter out of its query string.

    Raises:
        Refused: `Code.INVALID`.
        Unavailable: As `LedgerPositions.reached`.
    """
    parts = request.query_string.split(b"&")
    named = [part for part in parts if part.partition(b"=")[0] == MIN_POSITION]
    if not named:
        return
    value = named[0].partition(b"=")[2]
    if len(named) > 1 or not value.isdigit() or len(value) > 16 or int(value) > POSITION_MAX:
        raise Refused(Code.INVALID, "min-position is one position on the ledger, a whole number.")
    if positions is None:
        raise Refused(Code.INVALID, "No ledger is followed here, so that there is no position to wait for.")
    request.query_string = b"&".join(part for part in parts if part not in named)
    is_stranger = not has_credentials(request.headers)
    await request.aside(positions.reached(int(value), is_stranger=is_stranger))
