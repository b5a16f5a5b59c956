"""What the league has of an own entity: versions on the ledger, and members that hold one.

A member is asked itself what it has, and says it of the entities of whoever asks alone. What a member that
does not answer has, nobody knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import msgspec

SightState = Literal[
    "current", "older", "waiting", "behind", "kept-out", "invalid", "gone", "silent", "unsaid"
]
"""It holds the newest version; an older one; none, and retrieves it; it has not read the ledger so far; it
does not take it in, for a reason of its own; it found it not valid; it has it as deleted; it does not answer;
it answers, but its release does not say this."""


class MemberSight(msgspec.Struct, frozen=True):
    """What a member says that it has of an entity."""

    did: str
    name: str
    endpoint: str
    state: SightState
    version: int = 0
    """That it holds; 0: none."""
    since: str = ""
    """When that was stored there, RFC 3339; empty: it does not say."""
    code: str = ""
    """Why it does not hold the newest one, or does not answer."""
    events_behind: int = 0
    """How far it is behind the event of the newest version."""
    served: str = ""
    """When this marketplace last gave it the newest version at its request, by the audit log; RFC 3339.
    Empty: the log does not say. What is sent to all without being requested is not in there."""


class LedgerVersion(msgspec.Struct, frozen=True):
    """A version on the ledger."""

    version: int
    event: str
    """Its name, as `productOfferingCreateEvent`."""
    position: int
    height: int
    time: str
    """Of its block; RFC 3339."""
    status: str
    """State that the event gave the entity; empty: it names none."""
    has_content: bool
    """Whether its bytes are still here."""


class VersionHistory(msgspec.Struct, frozen=True):
    """The versions of an entity, the newest first."""

    versions: tuple[LedgerVersion, ...] = ()
    is_ledger_silent: bool = False
    is_cut: bool = False
    """Whether there are older ones, too."""


class LeagueSights(Protocol):
    """Knows what the league has of own entities."""

    async def holders(
        self, entity_ids: Sequence[str], wait_s: float, /
    ) -> dict[str, tuple[MemberSight, ...]]:
        """What each other member has of some entities that are on the ledger, by identifier.

        Args:
            entity_ids: Those that are not on the ledger are left out.
            wait_s: After that, members that have not answered are silent.
        """

    async def history(self, entity_id: str, /) -> tuple[VersionHistory, Mapping[int, bytes]]:
        """The versions of an entity; none while the ledger does not answer.

        Returns:
            Also what was announced as those versions whose bytes are still here.
        """
