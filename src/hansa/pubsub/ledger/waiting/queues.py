"""The queues of what waits, a queue for each sender."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from statistics import median_low
from typing import Final

import msgspec

from hansa.core.cache import Cache
from hansa.core.errors import Code
from hansa.core.events import LifecycleEvent
from hansa.pubsub.ledger.commitments.stored import IssuerState
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger.results import BUSY_SEQUENCE, IN_VAIN, QUEUE_FULL, RuleBroken
from hansa.pubsub.ledger.rules.governance.tables import SENDERS
from hansa.pubsub.ledger.rules.kind import GOVERNANCE_LANE, Sender
from hansa.pubsub.ledger.rules.quotas import check_quotas, is_within_quotas, spend
from hansa.pubsub.ledger.state import NOTHING, BlockEffects, Load, Overlay, StateView
from hansa.pubsub.ledger.state_machine import Proposal, verdict_of
from hansa.pubsub.ledger.transactions import TransactionReader
from hansa.pubsub.ledger.waiting.entry import (
    LastVersion,
    Waiting,
    as_claim,
    as_waiting,
    continued,
    last_version,
    last_version_waiting,
    total_load,
)
from hansa.pubsub.ledger.waiting.figures import QueueFigures
from hansa.pubsub.ledger.waiting.refused import RefusedTransactions
from hansa.pubsub.ledger_records import Claim

QUEUE_TRANSACTIONS_MAX: Final = 16
QUEUE_SIZE_MAX_BYTES: Final = 1_000_000
"""Of one sender."""
WAITING_SIZE_MAX_BYTES: Final = 2_000_000
"""Of all senders; some seconds of work. When more wait, each has an equal share, and room for one
transaction at least."""
SUBMITTED_MAX: Final = 8
"""Twice as many transactions as a publisher submits at a time (`publish_in_flight_max`)."""
YIELDED_BLOCKS_MAX: Final = 3
SHARE_MIN_BYTES: Final = 16_384
"""Of a sender in a block, beside others of which less waits: some forty events."""
SHARE_MAX_BYTES: Final = 150_000
"""Of a sender in a block in any case: an event that comes while it is made waits for no larger one."""
FULL_WAIT_MS: Final = 500
"""A few blocks take that long, and then there is room again."""
LATE_BLOCKS_MAX: Final = 3
"""After a silence the next block carries the time of the last one, the block after it the present time."""
DROPPED_REMEMBERED_MAX: Final = 4096
LANES: Final = 2
"""Events, and governance."""
_JUDGING: Final = frozenset({"anchors", "certificates", "policies", "trusted_issuers"})
"""Sections by which events are judged: when they change, what waits is checked anew."""


def waiting_max(senders: int, params: LedgerParams) -> tuple[int, int]:
    """How much of so many senders can wait at most: transactions, and bytes.

    A sender has a queue in each lane; the share of the k-th queue is a k-th of all, or one transaction.
    """
    queues = LANES * senders
    shares_bytes = (
        max(WAITING_SIZE_MAX_BYTES // k, params.transaction_size_max_bytes) for k in range(1, queues + 1)
    )
    return queues * QUEUE_TRANSACTIONS_MAX, sum(shares_bytes)


class WaitingTransactions:
    """What waits at this member. Bounded in all; holds only what passed the full check."""

    def __init__(self) -> None:
        self._queues: dict[str, list[Waiting]] = {}
        """By the sender's DID, or lane and DID (`Sender.queue`); none is empty. Ordered by `seq`."""
        self._by_digest: dict[bytes, Waiting] = {}
        self._dropped: Cache[bytes, bool] = Cache("ledger_dropped_transactions", DROPPED_REMEMBERED_MAX)
        """Digests of what was dropped: block time, not this clock, decides when it may wait again. True: it
        never may."""
        self._refused = RefusedTransactions()
        self._proposed: tuple[Claim, ...] = ()
        """Claims after the last valid proposal, until a block is decided."""
        self._provisional: set[tuple[str, str]] = set()
        """Senders and keys of chains of which something waits that may continue a proposal alone."""
        self._committed_at: dict[str, int] = {}
        """Height of the block that last held something of a sender."""
        self._recent_bytes: dict[str, int] = {}
        """Of each sender in the last blocks, older ones counting less."""
        self._height = 0
        """Of the last block."""
        self._empty_blocks = 0
        """In a row."""
        self._judged_by: tuple[str, LedgerParams] | None = None
        """Rule set and limits by which what waits was checked."""

    def __len__(self) -> int:
        return len(self._by_digest)

    @property
    def size_bytes(self) -> int:
        """Of all that waits."""
        return sum(len(waiting.raw) for waiting in self._by_digest.values())

    def queue(self, did: str) -> tuple[Waiting, ...]:
        """What waits of a sender, in its order."""
        return tuple(self._queues.get(did, ()))

    def figures(self) -> tuple[QueueFigures, ...]:
        """How much waits of each sender."""
        return tuple(
            QueueFigures(did, len(queue), sum(len(waiting.raw) for waiting in queue))
            for did, queue in sorted(self._queues.items())
        )

    # -- CheckTx ---------------------------------------------------------------------------------------------

    def check(
        self, view: StateView, raw: bytes, now_ms: int, reader: TransactionReader, *, is_recheck: bool = False
    ) -> None:
        """Let a transaction wait, or refuse it.

        Args:
            view: The committed state.
            raw: The transaction.
            now_ms: This member's clock. The next block's time is not known yet; it lags behind by up to the
                time since the last one.
            reader: Reads it.
            is_recheck: Whether the engine holds it already, and queries whether it is still valid.

        Raises:
            RuleBroken: the first rule that it breaks.
        """
        digest = hashlib.sha256(raw).digest()
        if digest in self._by_digest:
            return
        self._refused.check_known(digest)
        was_in_vain = self._dropped.peek(digest)
        if was_in_vain:
            raise IN_VAIN.broken("The transaction has waited through too many empty blocks.")
        sender = reader.sender(raw, view)
        self._check_room(sender, len(raw), view.params)
        present_ms = max(view.head.time_ms, now_ms)
        time_ms = view.head.time_ms if is_recheck or was_in_vain is not None else present_ms
        issuer = self._issuer(view, sender.did, time_ms)
        if sender.load != NOTHING:
            check_quotas(issuer, sender.load, view.params, time_ms)
        self._refused.check_sender(sender.did, present_ms)
        sender.verify(reader.context)
        events = self._checked(view, raw, sender, issuer, time_ms, reader)
        if isinstance(events, RuleBroken):
            if not is_recheck:
                effort = Load(max(sender.load.events, sender.check_events))
                self._refused.note(digest, sender.did, effort, present_ms, events)
            raise events
        waiting = as_waiting(raw, digest, sender, events, view)
        self._provisional |= {
            (claim.issuer, claim.key)
            for claim in self._proposed
            if claim.issuer == sender.did and claim.key in waiting.keys
        }
        self._put(waiting)

    def _check_room(self, sender: Sender, size_bytes: int, params: LedgerParams) -> None:
        """Refuse what has no place in its sender's queue, before it is verified.

        What waits there was verified, so nobody can take the places of another sender.
        """
        queue = self._queues.get(sender.queue, ())
        if any(waiting.sender.seq == sender.seq for waiting in queue):
            raise BUSY_SEQUENCE.broken(f"Another transaction {sender.seq} of {sender.did} waits.")
        senders = len(self._queues) + (sender.queue not in self._queues)
        share_bytes = min(QUEUE_SIZE_MAX_BYTES, WAITING_SIZE_MAX_BYTES // senders)
        room_bytes = max(share_bytes, params.transaction_size_max_bytes)
        used_bytes = sum(len(waiting.raw) for waiting in queue)
        if len(queue) >= QUEUE_TRANSACTIONS_MAX or used_bytes + size_bytes > room_bytes:
            raise QUEUE_FULL.broken(f"As much of {sender.did} waits as may wait.", FULL_WAIT_MS)

    def _issuer(self, view: StateView, did: str, time_ms: int) -> IssuerState:
        """A sender's quotas, against which what waits of it counts."""
        return spend(view.issuer(did), total_load(self._queues.get(did, ())), view.params, time_ms)

    def _checked(
        self,
        view: StateView,
        raw: bytes,
        sender: Sender,
        issuer: IssuerState,
        time_ms: int,
        reader: TransactionReader,
    ) -> Sequence[LifecycleEvent] | RuleBroken:
        """The events that a transaction commits, or why it is not valid.

        A transaction that does not continue the committed chains may continue those of what waits before it.
        """

        def verdict(predecessors: Sequence[Claim]) -> Sequence[LifecycleEvent] | RuleBroken:
            state = Overlay(view, view.head.height + 1, time_ms)
            state.presume(issuer, predecessors)
            return verdict_of(state, raw, reader)

        result = verdict(())
        if isinstance(result, RuleBroken) and result.code is Code.EVENT_VERSION_BROKEN:
            predecessors = self._predecessors(sender)
            result = verdict(predecessors) if predecessors else result
        return result

    def _predecessors(self, sender: Sender) -> tuple[Claim, ...]:
        """The ends of the sender's chains after what waits before a transaction, or is being decided."""
        claims = [
            msgspec.structs.replace(claim, first_position=0, last_position=0)  # it has no position yet
            for claim in self._proposed
            if claim.issuer == sender.did
        ]
        for waiting in self._queues.get(sender.did, ()):
            if waiting.sender.seq < sender.seq:
                claims += [as_claim(sender.did, change) for change in waiting.changes]
        return tuple(claims)

    def _put(self, waiting: Waiting) -> None:
        queue = self._queues.setdefault(waiting.sender.queue, [])
        queue.append(waiting)
        queue.sort(key=lambda one: one.sender.seq)
        self._by_digest[waiting.digest] = waiting
        assert len(queue) <= QUEUE_TRANSACTIONS_MAX, "queues are bounded"

    # -- PrepareProposal and ProcessProposal -----------------------------------------------------------------

    def fill(self, proposal: Proposal, candidates: Iterable[bytes]) -> None:
        """Fill a proposal from the queues by turns, and then from candidates that do not wait here.

        The next turn is that of the sender with the fewest bytes in the proposal; among equals, of the one
        that has been in no block for longest. Each gets one transaction, and more up to its share
        (`_shares_bytes`). What is not valid yet holds up the later ones of its sender, which would make it
        outdated.
        """
        shares_bytes = self._shares_bytes()
        taken_bytes = dict.fromkeys(self._queues, 0)
        places = dict.fromkeys(self._queues, 0)
        while taken_bytes:
            did = min(taken_bytes, key=lambda one: (taken_bytes[one], self._committed_at.get(one, 0), one))
            queue = self._queues.get(did, ())
            if places[did] >= len(queue):
                del taken_bytes[did]
                continue
            waiting = queue[places[did]]
            share_bytes, taken = shares_bytes[did], taken_bytes[did]
            if not share_bytes or (taken and taken + len(waiting.raw) > share_bytes):
                del taken_bytes[did]
                continue
            places[did] += 1
            if not proposal.has_room(waiting.raw):
                if not proposal.transactions:
                    self._drop(waiting, is_final=True)  # no block has room for it
                del taken_bytes[did]
                continue
            refusal = proposal.add(waiting.raw)
            if refusal is None:
                taken_bytes[did] += len(waiting.raw)
            elif refusal.wait_ms:
                del taken_bytes[did]
        for raw in candidates:
            if hashlib.sha256(raw).digest() not in self._by_digest and proposal.has_room(raw):
                proposal.add(raw)

    def _shares_bytes(self) -> dict[str, int]:
        """How much of each sender a proposal takes at most, beyond one transaction.

        A sender that has more waiting than a publisher submits at a time, and far more than the others,
        makes their blocks neither much larger nor much later: it gets what is usual among them, and half of
        that when it has more than twice as much. What was in the last blocks counts as well as what waits:
        whoever waits for one transaction to be committed before submitting the next has nothing waiting just
        then. It gets nothing in the block that follows another with transactions: the engine makes that one
        anyway, for the proof of the one before, and makes it faster without transactions; only when it has
        been in none of the last `YIELDED_BLOCKS_MAX`. Any other sender is bounded by `SHARE_MAX_BYTES` alone.
        """
        waiting = {did: sum(len(one.raw) for one in queue) for did, queue in self._queues.items()}
        active = {did: max(waiting.get(did, 0), recent) for did, recent in self._recent_bytes.items()}
        active |= {did: size for did, size in waiting.items() if did not in active}
        shares: dict[str, int] = {}
        for did, size in waiting.items():
            usual = median_low([other for one, other in active.items() if one != did] or [size])
            if len(self._queues[did]) <= SUBMITTED_MAX or 4 * size <= 5 * usual:
                share = size
            elif len(active) > 1 and self._yields(did):
                share = 0
            else:
                share = max(SHARE_MIN_BYTES, 5 * usual // 4 if size <= 2 * usual else usual // 2)
            shares[did] = min(share, SHARE_MAX_BYTES)
        return shares

    def _yields(self, did: str) -> bool:
        """Whether a sender leaves the next block to the others."""
        blocks_without = self._height - self._committed_at.get(did, -YIELDED_BLOCKS_MAX)
        return self._empty_blocks == 0 and blocks_without < YIELDED_BLOCKS_MAX

    def _note_sizes(self, effects: BlockEffects) -> None:
        """Bring up to date what senders have had in the last blocks: the half of each block before counts."""
        sizes = dict.fromkeys(self._recent_bytes, 0)
        for new in effects.events:
            sizes[new.event.issuer] = sizes.get(new.event.issuer, 0) + len(new.content)
        recent = {did: (self._recent_bytes.get(did, 0) + size) // 2 for did, size in sizes.items()}
        self._recent_bytes = {did: size for did, size in recent.items() if size}

    def note_proposed(self, effects: BlockEffects) -> None:
        """Take note of a valid proposal: what continues its chains may wait while it is being decided."""
        self._proposed = effects.claims

    # -- Commit ----------------------------------------------------------------------------------------------

    def settle(self, view: StateView, effects: BlockEffects, transactions: Sequence[bytes]) -> None:
        """Remove what a block has committed, and what can no longer be valid after it.

        Args:
            view: The committed state after the block.
            effects: Of the block.
            transactions: Of the block.
        """
        self._height = view.head.height
        self._empty_blocks = 0 if transactions else self._empty_blocks + 1
        self._note_sizes(effects)
        self._remove_committed(view, effects, transactions)
        judged_by = view.ruleset, view.params
        is_judged_anew = self._judged_by not in {None, judged_by} or not _JUDGING.isdisjoint(effects.records)
        self._judged_by = judged_by
        if effects.members or is_judged_anew:
            self._queues.clear()  # the engine has all of it checked anew, by the new registry
            self._by_digest.clear()
            self._refused.clear()
        ends, ids = self._changed(view, effects)
        self._proposed = ()
        self._provisional.clear()
        for did in tuple(self._queues):
            late = self._late(did, view)
            if ends[did] or late:
                self._settle_chains(did, view, ends[did], ids[did], late)
        assert all(self._queues.values()), "no queue is empty"

    def _remove_committed(
        self, view: StateView, effects: BlockEffects, transactions: Sequence[bytes]
    ) -> None:
        """Remove what was in a block, and what was overtaken by it, which was checked in vain."""
        height = view.head.height
        for raw in transactions:
            committed = self._by_digest.get(hashlib.sha256(raw).digest())
            if committed is not None:
                self._committed_at[committed.sender.queue] = height
                self._remove(committed)
        for issuer in effects.issuers:
            self._committed_at[issuer.did] = height
            for waiting in self.queue(issuer.did):
                if 0 < waiting.sender.seq <= issuer.seq:
                    self._remove(waiting)
                    self._refused.count(issuer.did, waiting.load, view.head.time_ms)
        for did in effects.records.get(SENDERS.section, {}):
            sender = SENDERS.get(view, did)
            for waiting in self.queue(GOVERNANCE_LANE + did):
                if sender is not None and waiting.sender.seq <= sender.seq:
                    self._remove(waiting)

    def _changed(
        self, view: StateView, effects: BlockEffects
    ) -> tuple[dict[str, dict[str, LastVersion]], dict[str, set[str]]]:
        """By sender that waits: the ends of the chains that may have changed, and the ids of new events.

        What was proposed counts as changed: something may wait that continues it, decided or not.
        """
        ends: dict[str, dict[str, LastVersion]] = {did: {} for did in self._queues}
        ids: dict[str, set[str]] = {did: set() for did in self._queues}
        for claim in effects.claims:
            if claim.issuer in ends:
                ends[claim.issuer][claim.key] = last_version(claim)
        for did, key in self._provisional:
            if did in ends and key not in ends[did]:
                ends[did][key] = last_version(view.claim(did, key))
        for new in effects.events:
            if new.event.issuer in ids:
                ids[new.event.issuer].add(new.event.id)
        return ends, ids

    def _late(self, did: str, view: StateView) -> set[bytes]:
        """Digests of what waits of a sender and should have been valid by now."""
        head, issuer = view.head, view.issuer(did)
        late: set[bytes] = set()
        for waiting in self._queues[did]:
            after = spend(issuer, waiting.load, view.params, head.time_ms)
            is_early = waiting.first_time_ms > head.time_ms or not is_within_quotas(after, view.params)
            waited = head.height - waiting.height
            if (
                waiting.last_time_ms < head.time_ms
                or (is_early and waited >= LATE_BLOCKS_MAX)
                or self._is_in_vain(waiting, view)
            ):
                late.add(waiting.digest)
            else:
                issuer = after
        return late

    def _is_in_vain(self, waiting: Waiting, view: StateView) -> bool:
        """Whether so many empty blocks in a row were made that every member has proposed one meanwhile."""
        empty_blocks = min(self._empty_blocks, view.head.height - waiting.height)
        return empty_blocks > max(LATE_BLOCKS_MAX, len(view.members))

    def _settle_chains(
        self, did: str, view: StateView, ends: dict[str, LastVersion], ids: set[str], late: set[bytes]
    ) -> None:
        """Drop what waits of a sender and is late, uses an event's id again, or does not continue its chains.

        Args:
            did: The sender.
            view: The committed state.
            ends: Of the chains that may have changed; those of what is dropped are added.
            ids: Of the events that were committed.
            late: Digests of what is dropped in any case.
        """
        retained: list[Waiting] = []
        for waiting in self.queue(did):
            after = None
            if waiting.digest not in late and waiting.ids.isdisjoint(ids):
                after = continued(ends, waiting)
            if after is not None:
                ends |= after
                retained.append(waiting)
                continue
            for key in waiting.keys - ends.keys():
                ends[key] = last_version_waiting(retained, key) or last_version(view.claim(did, key))
            self._drop(waiting, is_final=self._is_in_vain(waiting, view))

    def _drop(self, waiting: Waiting, *, is_final: bool) -> None:
        self._remove(waiting)
        self._dropped.put(waiting.digest, is_final)

    def _remove(self, waiting: Waiting) -> None:
        del self._by_digest[waiting.digest]
        queue = self._queues[waiting.sender.queue]
        queue.remove(waiting)
        if not queue:
            del self._queues[waiting.sender.queue]
