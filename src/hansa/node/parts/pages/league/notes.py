"""What operators noted about other members: one text a member, in the store."""

from __future__ import annotations

from typing import Final

import msgspec

from hansa.core.errors import Code, Refused
from hansa.portal.operators.league.members import MemberNote
from hansa.store import Store
from hansa.store.tables import facts

NOTES_MAX: Final = 1000


class MemberNotes:
    """The notes; all of them are one fact about the store, written as a whole.

    Args:
        store: Has them.
        count_max: How many there can be.
    """

    def __init__(self, store: Store, count_max: int = NOTES_MAX) -> None:
        self._store = store
        self._count_max = count_max

    async def of(self, did: str) -> MemberNote | None:
        """What is noted about a member."""
        return _read(await facts.value(self._store, "member_notes")).get(did)

    async def write(self, did: str, text: str) -> None:
        """Note something about a member; empty: nothing any more.

        Raises:
            Refused: `Code.QUOTA_EXCEEDED`.
        """
        async with self._store.transaction() as tx:
            notes = _read(await facts.value(tx, "member_notes"))
            notes.pop(did, None)
            if text:
                notes[did] = MemberNote(text, tx.time)
            if len(notes) > self._count_max:
                raise Refused(
                    Code.QUOTA_EXCEEDED,
                    f"There are {self._count_max} notes about members; empty others first.",
                )
            await facts.record(tx, "member_notes", msgspec.json.encode(notes).decode())


def _read(text: str | None) -> dict[str, MemberNote]:
    return {} if text is None else msgspec.json.decode(text, type=dict[str, MemberNote])
