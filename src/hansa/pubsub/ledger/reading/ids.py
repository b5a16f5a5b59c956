"""Where the events with some ids are.

An id of version 7 begins with a time, which under `hansa-ledger/4` is the event's own. So an event is looked
up by its issuer and its time, among the few that its issuer has at one millisecond; the ids of others are in
`used_id`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final

import apsw

from hansa.core.errors import Code, Refused
from hansa.pubsub.ledger.storage.compact import expanded_content

_AT_TIME: Final = (
    "SELECT event.position, content FROM event INDEXED BY event_time JOIN event_content USING (position)"
    " WHERE issuer = ? AND time_ms = ? ORDER BY event.position"
)
_USED: Final = (
    "SELECT used_id.position, content FROM used_id JOIN event_content USING (position)"
    " WHERE id = ? AND issuer = ? ORDER BY used_id.position LIMIT 1"
)
_ID: Final = b'"id":"'
_ID_LENGTH: Final = 36
_ROWS_PER_CHECK: Final = 64
"""An issuer can give any number of its events one time."""
_TIME_BITS: Final = 80
"""How many bits of an id follow its time."""


def positions_of_ids(
    connection: apsw.Connection, issuer: str, ids: Sequence[str], check: Callable[[], None]
) -> dict[str, tuple[int, bytes]]:
    """Position and content of those of an issuer's events that are on the ledger, by id.

    Args:
        connection: In a read transaction.
        issuer: DID.
        ids: Of the events.
        check: Called now and then; raises when the time for the answer is over.

    Raises:
        Refused: `Code.INVALID`: one is no UUID.
    """
    by_time = _by_time(ids)
    row = connection.execute("SELECT number FROM name WHERE text = ?", (issuer,)).fetchone()
    if row is None:
        return {}
    places: dict[str, tuple[int, bytes]] = {}
    for time_ms, expected in by_time.items():
        rows: list[tuple[Any, ...]] = connection.execute(_AT_TIME, (row[0], time_ms)).fetchall()
        for number, (position, stored) in enumerate(rows):
            if number % _ROWS_PER_CHECK == 0:
                check()
            if not expected:
                break
            content = expanded_content(stored)
            begin = content.find(_ID) + len(_ID)
            for event_id in expected.pop(content[begin : begin + _ID_LENGTH], ()):
                places[event_id] = position, content
        for raw, spellings in expected.items():
            used = connection.execute(_USED, (uuid.UUID(raw.decode()).bytes, row[0])).fetchone()
            if used is not None:
                places |= dict.fromkeys(spellings, (used[0], expanded_content(used[1])))
    return places


def _by_time(ids: Sequence[str]) -> dict[int, dict[bytes, list[str]]]:
    """The ids by their times: how events have them, and how they were spelled."""
    by_time: dict[int, dict[bytes, list[str]]] = {}
    for event_id in ids:
        try:
            one = uuid.UUID(event_id)
        except ValueError as error:
            raise Refused(Code.INVALID, "An event id is a UUID.") from error
        at_time = by_time.setdefault(one.int >> _TIME_BITS, {})
        at_time.setdefault(str(one).encode(), []).append(event_id)
    return by_time
