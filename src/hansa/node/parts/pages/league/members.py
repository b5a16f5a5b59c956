"""The members as operators see them: as `hansa peers` and `hansa league members` do."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from hansa.core.clock import Clock, epoch_s, rfc3339_at_ms
from hansa.core.errors import HansaError
from hansa.core.members import Member, country_of
from hansa.core.trust.certificates import (
    CERTIFICATES,
    certificate_key,
    certificate_state,
    read_key_certificate,
)
from hansa.node.parts.pages.league.notes import MemberNotes
from hansa.portal.operators.league.members import (
    Condition,
    MemberDetails,
    MemberEndpoint,
    MemberKey,
    MemberRow,
    ProgressThere,
    WrongAnswer,
)
from hansa.pubsub.bus import BusReads
from hansa.pubsub.league.reports import KeyHistory, RegisteredMember
from hansa.replication.registry import MemberRegistry
from hansa.replication.replicas.control import ReplicaControl
from hansa.replication.sources.peers import FollowerProgress, Peer, PeerView
from hansa.store import Store
from hansa.store.tables import evidence, heads

EVIDENCE_SHOWN_MAX: Final = 20
KEYS_SHOWN_MAX: Final = 20
ENDPOINTS_SHOWN_MAX: Final = 50


class LeagueMembers:
    """The members, and what operators decide about them.

    Args:
        did: Of this marketplace.
        store: Has evidence and notes.
        bus: Has the history of members.
        registry: The members.
        peers: How they do.
        control: Pauses them and has retrievals attempted again.
        clock: For the state of certificates.
    """

    def __init__(
        self,
        did: str,
        store: Store,
        bus: BusReads,
        registry: MemberRegistry,
        peers: PeerView,
        control: ReplicaControl,
        clock: Clock,
    ) -> None:
        self._did = did
        self._store = store
        self._bus = bus
        self._registry = registry
        self._peers = peers
        self._control = control
        self._clock = clock
        self._notes = MemberNotes(store)

    async def members(self) -> tuple[MemberRow, ...]:
        """See `hansa.portal.operators.league.members.MemberReads`."""
        peers = {peer.did: peer for peer in await self._peers.peers(dids=())}
        return tuple(self._row(member, peers.get(member.did)) for member in self._registry.known())

    async def member(self, did: str) -> MemberDetails | None:
        """See `MemberReads`."""
        known = self._registry.known_member(did)
        if known is None:
            return None
        peer = next((one for one in await self._peers.peers(dids=(did,)) if one.did == did), None)
        origin = None if peer is None else peer.origin
        registered = await self._registered(did)
        return MemberDetails(
            row=self._row(known, peer),
            country=country_of(known) or "",
            prefixes=known.prefixes,
            validator_key=known.validator_key[:64],
            node_ids=known.node_ids,
            keys=() if registered is None else await self._keys(did, registered),
            endpoints=()
            if registered is None
            else tuple(
                MemberEndpoint(one.since, one.endpoint) for one in registered.endpoints[-ENDPOINTS_SHOWN_MAX:]
            ),
            attempts=0 if origin is None else origin.attempts,
            next_attempt=None if origin is None else origin.next_attempt,
            bound=None if origin is None else origin.bound,
            skipped=0 if origin is None else origin.skipped,
            deleted=0 if origin is None else origin.deleted,
            stored_bytes=0 if origin is None else origin.stored_bytes,
            follower=_follower(None if peer is None else peer.follower),
            follower_problem=None if peer is None else peer.problem,
            evidence=await self._evidence(did),
            note=await self._notes.of(did),
            is_ledger_silent=registered is None,
        )

    async def pause(self, did: str) -> None:
        """See `MemberReads`."""
        await self._control.pause(did)

    async def resume(self, did: str) -> None:
        """See `MemberReads`."""
        await self._control.resume(did)

    async def retry(self, did: str) -> int:
        """See `MemberReads`."""
        return await self._control.retry(heads.RETRYABLE, did, None)

    async def write_note(self, did: str, text: str) -> None:
        """See `MemberReads`."""
        await self._notes.write(did, text)

    def _row(self, member: Member, peer: Peer | None) -> MemberRow:
        row = MemberRow(
            did=member.did,
            name=member.name,
            endpoint=member.endpoint,
            status=member.status,
            is_own=member.did == self._did,
            power=member.power,
            condition=_condition(member, peer),
        )
        return row if peer is None else _with_progress(row, peer)

    async def _registered(self, did: str) -> RegisteredMember | None:
        try:
            return next((one for one in await self._bus.histories() if one.member.did == did), None)
        except HansaError:
            return None  # what is in the store is shown all the same

    async def _keys(self, did: str, registered: RegisteredMember) -> tuple[MemberKey, ...]:
        return tuple([await self._key(did, key) for key in registered.keys[-KEYS_SHOWN_MAX:]])

    async def _key(self, did: str, key: KeyHistory) -> MemberKey:
        try:
            body = await self._bus.record(CERTIFICATES, certificate_key(did, key.kid))
        except HansaError:
            body = None
        state, expires = "", None
        if body is not None:
            certificate = read_key_certificate(body)
            state = certificate_state(certificate, 1000 * epoch_s(self._clock))
            expires = rfc3339_at_ms(1000 * certificate.not_after_s)
        return MemberKey(key.kid, key.since, key.until, key.valid_until, state, expires)

    async def _evidence(self, did: str) -> tuple[WrongAnswer, ...]:
        return tuple(
            WrongAnswer(one.code, one.reason, one.count, one.first_time, one.last_time, one.is_proved)
            for one in await evidence.records_of(self._store, did, EVIDENCE_SHOWN_MAX)
        )


def _follower(said: FollowerProgress | None) -> ProgressThere | None:
    if said is None:
        return None
    return ProgressThere(said.position, said.heads, said.stored, said.pending, said.skipped, said.rejected)


def _condition(member: Member, peer: Peer | None) -> Condition:
    origin = None if peer is None else peer.origin
    if not member.is_current:
        return "gone"
    if origin is not None and origin.paused_since is not None:
        return "paused"
    if origin is not None and origin.failing_since is not None:
        return "failing"
    if peer is not None and peer.evidence:
        return "wrong"
    if member.status == "suspended":
        return "suspended"
    return "behind" if origin is not None and origin.pending else "well"


def _with_progress(row: MemberRow, peer: Peer) -> MemberRow:
    source, origin = peer.source, peer.origin
    fields: dict[str, Any] = {
        "wrong": sum(peer.evidence.values()),
        "proved": peer.proved,
        "share": source.share if source.answers else None,
        "latency_p50_ms": _ms(source.latency_p50_s),
        "latency_p95_ms": _ms(source.latency_p95_s),
    }
    if origin is not None:
        progress = ("lag", "heads", "stored", "pending", "failed", "deferred", "rejected")
        names = (*progress, "failing_since", "problem", "paused_since")
        fields |= {name: getattr(origin, name) for name in names}
    return msgspec.structs.replace(row, **fields)


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(1000 * seconds)
