"""The `Bus`: the signed lifecycle events of the members of a league, in one order, for ever.

Publishers submit lifecycle events, which travel in signed batches; when `publish` returns they are committed
and have positions.
Followers read committed events from a position. Every implementation keeps the same contract
(tests/contract/test_bus.py): positions count from 1 without gaps, all members see the same order, an event is
on the bus at most once, and what breaks a rule of the ledger is refused with that rule's code.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Protocol

from hansa.core.batches import BatchSigner
from hansa.core.members import Member
from hansa.pubsub.league.reports import ProposalReport, RegisteredMember
from hansa.pubsub.league.state import LeagueState
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger_records import (
    Claim,
    ClaimPage,
    CommittedEvent,
    EventFilter,
    EventPage,
    GovernanceKind,
    Governed,
    LedgerStatus,
    NewestPositions,
    RecordPage,
)
from hansa.pubsub.proofs import (
    NO_HISTORY,
    ClaimsProof,
    ConsistencyProof,
    HistoryRequest,
    InclusionProof,
    StateProofs,
    StoredCheckpoint,
)


class BusReads(Protocol):
    """What is read of a bus."""

    @property
    def params(self) -> LedgerParams:
        """The league's limits, as they were when `members` last read the registry."""

    def follow(
        self, after: int, filter: EventFilter | None = None, *, with_proofs: bool = False
    ) -> AsyncIterator[EventPage]:
        """Pages of matching events after position `after`, for ever; waits for new blocks at the end.

        Yields also pages without matches, so that cursors advance. Survives interruptions of the connection.
        """

    async def check(self, filter: EventFilter) -> None:
        """Whether events can be followed with this filter.

        Raises:
            Refused: `Code.INVALID` or `Code.TOO_LARGE`, for the filter.
            Unavailable: `Code.UNAVAILABLE`.
        """

    async def search(
        self,
        after: int,
        filter: EventFilter | None = None,
        limit: int | None = None,
        *,
        with_proofs: bool = False,
    ) -> EventPage:
        """One page of matching events after position `after`.

        Raises:
            Unavailable: `Code.UNAVAILABLE`.
        """

    async def newest_positions(self, after: int) -> NewestPositions:
        """Where the newest event of each entity key is, of those after a position.

        Raises:
            Unavailable: `Code.UNAVAILABLE`.
        """

    async def events_at(self, positions: Sequence[int]) -> tuple[CommittedEvent, ...]:
        """The events at some positions of the ledger, in their order; the first of them, when they are many.

        Raises:
            Unavailable: `Code.UNAVAILABLE`.
        """

    async def claims(self, keys: Sequence[str]) -> tuple[Claim, ...]:
        """The claims on these entity keys, one per (key, issuer) that the ledger knows, in no order.

        Raises:
            Unavailable: `Code.UNAVAILABLE`.
        """

    async def claims_from(self, bucket: int, count: int) -> ClaimPage:
        """The claims on all entity keys, from a bucket on: those whose keys begin with these 16 bits.

        Args:
            bucket: 0 for the first, 65,535 for the last.
            count: The page ends with the first bucket at which it has so many.

        Raises:
            Unavailable: `Code.UNAVAILABLE`.
        """

    async def inclusion_proof(self, position: int) -> InclusionProof:
        """What shows, with an application hash, that an event is on the ledger.

        Raises:
            Refused: `Code.NOT_FOUND`.
            Unavailable: `Code.UNAVAILABLE`.
        """

    async def consistency_proof(self, earlier_size: int) -> ConsistencyProof:
        """What shows that a ledger of so many events is the beginning of this one.

        Raises:
            Refused: `Code.NOT_FOUND`.
            Unavailable: `Code.UNAVAILABLE`.
        """

    async def claims_proof(self, key: str) -> ClaimsProof:
        """What shows which claims there are on an entity key, and that there are no others.

        Raises:
            Refused: `Code.INVALID`.
            Unavailable: `Code.UNAVAILABLE`.
        """

    async def state_proofs(
        self, positions: Sequence[int], key: str | None, history: HistoryRequest = NO_HISTORY
    ) -> StateProofs:
        """Proofs about events, the claims on an entity key, and what is remembered of members, of one state.

        Raises:
            Refused: `Code.NOT_FOUND`, `Code.INVALID`.
            Unavailable: `Code.UNAVAILABLE`.
        """

    async def leaves(self, after: int, limit: int) -> bytes:
        """Leaf hashes of the ledger's tree, one after another, of the events after a position.

        Raises:
            Unavailable: `Code.UNAVAILABLE`.
        """

    async def checkpoints(self, after: int, limit: int) -> tuple[StoredCheckpoint, ...]:
        """Checkpoints of the blocks with events after a height, in order.

        Raises:
            Unavailable: `Code.UNAVAILABLE`.
        """

    async def event_position(self, event_id: str) -> int | None:
        """Position of the first event with an id, of whatever issuer; None when there is none.

        Raises:
            Refused: `Code.INVALID`.
            Unavailable: `Code.UNAVAILABLE`.
        """

    async def members(self) -> tuple[Member, ...]:
        """The member registry.

        Raises:
            Unavailable: `Code.UNAVAILABLE`.
        """

    async def revoked_keys(self) -> frozenset[str]:
        """The keys of members that were revoked, each as `hansa.core.trust.certificates.certificate_key`.

        Raises:
            Unavailable: `Code.UNAVAILABLE`.
        """

    async def record_page(self, section: str, offset: int, limit: int) -> RecordPage:
        """Some records of a section of the state, as it is stored; none where there is no such section.

        Raises:
            Unavailable: `Code.UNAVAILABLE`.
        """

    async def league(self) -> LeagueState:
        """What the members have decided: proposals, votes, members, validators, limits.

        Raises:
            Unavailable: `Code.UNAVAILABLE`.
        """

    async def record(self, section: str, key: str) -> bytes | None:
        """A record of a section of the ledger's state.

        Raises:
            Unavailable: `Code.UNAVAILABLE`.
        """

    async def proposals(self, *, with_closed: bool = False) -> tuple[ProposalReport, ...]:
        """What the members decide, open proposals first, the newest first of each.

        Raises:
            Unavailable: `Code.UNAVAILABLE`.
        """

    async def proposal(self, name: str) -> ProposalReport:
        """A proposal by its hash, the beginning of it, or its id.

        Raises:
            Refused: `Code.NOT_FOUND`, or `Code.CONFLICT` when several have that name.
            Unavailable: `Code.UNAVAILABLE`.
        """

    async def histories(self) -> tuple[RegisteredMember, ...]:
        """The members with the keys and endpoints that they have and had.

        Raises:
            Unavailable: `Code.UNAVAILABLE`.
        """

    async def ledger(self) -> LedgerStatus:
        """The state of the ledger.

        Raises:
            Unavailable: `Code.UNAVAILABLE`.
        """

    def blocks(self) -> AsyncIterator[None]:
        """One item at once, then one after each block, until the bus is closed.

        Blocks that come while an item is being used count as one. There can be items without a new block, and
        while the ledger cannot be reached.
        """


async def all_events_at(bus: BusReads, positions: Iterable[int]) -> list[CommittedEvent]:
    """The events at some positions, in ledger order, in as many readings as it takes.

    Raises:
        Unavailable: `Code.UNAVAILABLE`.
    """
    events: list[CommittedEvent] = []
    rest = sorted(positions)
    while rest:
        some = await bus.events_at(rest)
        assert some, "a reading has one event at least"
        events += some
        rest = rest[len(some) :]
    return events


class Bus(BusReads, Protocol):
    """Trusted publish/subscribe among the members."""

    async def publish(self, contents: Sequence[bytes], signer: BatchSigner) -> tuple[int, ...]:
        """Commit a batch of the signer's events, all or none; returns their positions.

        Publishing events that are already on the bus returns the positions they have, so a publisher that
        does not know the outcome of an attempt repeats it. A caller publishes at most one version of an
        entity at a time.

        Raises:
            Refused: a code of the ledger's rules (`EVENT_…`, `TRANSACTION_…`); repeating is no use.
            Unavailable: `Code.OVERLOADED` or `Code.UNAVAILABLE`; the outcome is unknown, repeat later.
        """

    async def govern(self, kind: GovernanceKind, did: str, sign: Callable[[int], str]) -> Governed:
        """Commit what a member proposes, votes or states.

        Args:
            kind: Of the transaction.
            did: Of the member.
            sign: Makes the JWS with that `seq` (`hansa.core.governance`); called again when another
                transaction of the member took it.

        Raises:
            Refused: a code of the ledger's rules; repeating is no use.
            Unavailable: `Code.OVERLOADED` or `Code.UNAVAILABLE`; the outcome is unknown.
        """

    async def close(self) -> None:
        """End all follows and close connections."""
