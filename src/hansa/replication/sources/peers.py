"""The other members as an operator sees them: as origins, as sources, and as followers of this marketplace.

How far a follower is with the entities of this marketplace, it says itself: any member may ask another one
what it has of its own entities (`own_progress`), in numbers and of some by name, and of nobody else's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from hansa.core.bounded_json import UNREADABLE
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.http import HttpClient, HttpRequest, RequestSigner
from hansa.core.members import Member, MemberStatus
from hansa.replication.registry import MemberRegistry
from hansa.replication.sources.ranking import SourceFigures, SourceRanking
from hansa.replication.status import OriginProgress, ReplicationView
from hansa.store import Store
from hansa.store.tables import evidence, heads, origins
from hansa.store.tables.heads import FOLLOWER_CURSOR, State

FOLLOWED_PATH: Final = "/league/v1/followed"
TIMEOUT_S: Final = 3.0
ANSWER_MAX_BYTES: Final = 32_768
KEYS_MAX: Final = 50
"""Entities that are named in one question."""


class FollowedEntity(msgspec.Struct, frozen=True):
    """What a member has of an entity of another one."""

    key: str
    """On the ledger, hex."""
    state: State
    """Of the newest version that it knows."""
    version: int
    """The number of that version."""
    replica_version: int
    """The one that it has stored; 0: none."""
    stored_since: str | None
    """When it stored that; RFC 3339."""
    problem: str | None
    """Code of the reason why it has not stored the newest one."""


class FollowerProgress(msgspec.Struct, frozen=True):
    """How far a member is with the entities of another one."""

    position: int
    """Events of the ledger up to this one were looked at."""
    heads: int
    """Entities of the other one on the ledger, as far as that."""
    stored: int
    """Those whose newest version it has."""
    pending: int
    """Those that it will retrieve."""
    deferred: int
    """Those that wait for room within its bounds."""
    skipped: int
    """Those that it does not take in, for a reason of its own."""
    rejected: int
    """Those that it found not valid."""
    deleted: int
    """Those that are deleted or withdrawn."""
    entities: tuple[FollowedEntity, ...] = ()
    """Those that were named, as far as it knows them."""


class FollowerAnswer(msgspec.Struct, frozen=True):
    """What a member says of itself as a follower, or why it says nothing."""

    member: Member
    progress: FollowerProgress | None
    problem: str | None = None
    """Code of the reason; None beside no progress: it is paused, and was not asked."""


class Peer(msgspec.Struct, frozen=True):
    """Another member."""

    did: str
    name: str
    endpoint: str
    status: MemberStatus
    """As the registry has it."""
    origin: OriginProgress | None
    """How its entities are here; None before it published any."""
    source: SourceFigures
    """How it did as a source of entities, its own and others'."""
    evidence: dict[str, int]
    """Records of what it sent that was not valid, by code."""
    proved: int
    """Those of them that request and signed answer show to others."""
    follower: FollowerProgress | None = None
    """How far it is with the entities of this marketplace; None when it does not say."""
    problem: str | None = None
    """Code of the reason why it does not."""


class PeerView:
    """Looks at the other members.

    Args:
        store: Has what is here of their entities, and evidence.
        view: Of replication.
        registry: The members.
        ranking: How they did as sources.
        http: Sends to members alone.
        signer: Proves to a member which one asks.
        did: This member.
    """

    def __init__(
        self,
        store: Store,
        view: ReplicationView,
        registry: MemberRegistry,
        ranking: SourceRanking,
        http: HttpClient,
        signer: RequestSigner,
        did: str,
    ) -> None:
        self._store = store
        self._view = view
        self._registry = registry
        self._ranking = ranking
        self._http = http
        self._signer = signer
        self._did = did

    async def peers(self, dids: Collection[str] | None = None) -> tuple[Peer, ...]:
        """All other members, in the order of the registry; each is asked how far it is, all at once.

        Args:
            dids: Of those that are asked; None: all are. Those that are paused never are.
        """
        members = [one for one in self._registry.known() if one.did != self._did]
        progress = await self._view.progress(members, None)
        by_did = {one.did: one for one in progress.origins}
        counts = await self._view.evidence_counts()
        proofs = await evidence.proof_counts(self._store)
        figures = {one.did: one for one in self._ranking.figures([one.did for one in members])}
        paused = await origins.paused(self._store)
        requested = [
            one
            for one in members
            if one.is_current and one.did not in paused and (dids is None or one.did in dids)
        ]
        answers = await asyncio.gather(*(self._progress(one) for one in requested))
        said = {one.member.did: (one.progress, one.problem) for one in answers}
        peers: list[Peer] = []
        for one in members:
            follower, problem = said.get(one.did, (None, None))
            wrong = {code: count for (did, code), count in counts.items() if did == one.did}
            described = (one.did, one.name, one.endpoint, one.status, by_did.get(one.did), figures[one.did])
            peers.append(Peer(*described, wrong, proofs.get(one.did, 0), follower, problem))
        return tuple(peers)

    async def followers(self, keys: Sequence[str], wait_s: float = TIMEOUT_S) -> tuple[FollowerAnswer, ...]:
        """What each other member says that it has of some entities of ours; all are asked at once.

        Those that are paused are not asked.

        Args:
            keys: Of the entities, hex; `KEYS_MAX` at most.
            wait_s: After that, a member is taken not to answer.
        """
        assert len(keys) <= KEYS_MAX, "a question has its bounds"
        members = [one for one in self._registry.known() if one.did != self._did and one.is_current]
        paused = await origins.paused(self._store)
        results = await asyncio.gather(
            *(self._progress(one, keys, wait_s) for one in members if one.did not in paused)
        )
        answers = {one.member.did: one for one in results}
        return tuple(answers.get(one.did, FollowerAnswer(one, None)) for one in members)

    async def own_progress(self, did: str, keys: Sequence[str] = ()) -> FollowerProgress:
        """How far this marketplace is with the entities of a member, and with some of them by name."""
        position = await self._store.cursor(FOLLOWER_CURSOR)
        origin = next((one for one in await origins.origins(self._store) if one.did == did), None)
        if origin is None:
            return FollowerProgress(position, 0, 0, 0, 0, 0, 0, 0)
        return FollowerProgress(
            *(position, origin.heads, origin.stored, origin.pending),
            *(origin.deferred, origin.skipped, origin.rejected, origin.deleted),
            entities=await self._followed(did, keys),
        )

    async def _followed(self, did: str, keys: Sequence[str]) -> tuple[FollowedEntity, ...]:
        known = await heads.of_keys(self._store, did, keys) if keys else {}
        replicas = await self._store.entities([one.entity_id for one in known.values() if one.entity_id])
        followed: list[FollowedEntity] = []
        for key, head in known.items():
            replica = replicas.get(head.entity_id or "")
            version = head.version if head.state == "stored" else head.replica_version or 0
            since = None if replica is None else replica.modified
            described = (key, head.state, head.version, version if since is not None else 0, since)
            followed.append(FollowedEntity(*described, head.problem))
        return tuple(followed)

    async def _progress(
        self, member: Member, keys: Sequence[str] = (), wait_s: float = TIMEOUT_S
    ) -> FollowerAnswer:
        """What a member says of how far it is; or the code of the reason why it says nothing.

        One of an earlier release refuses to be asked for entities by name: `Code.NOT_IMPLEMENTED`.
        """
        query = "&".join(f"key={key}" for key in keys)
        url = member.endpoint + FOLLOWED_PATH + (f"?{query}" if query else "")
        headers = self._signer.headers(member.did, "GET", url, b"")
        try:
            request = HttpRequest("GET", url, headers, b"", wait_s, ANSWER_MAX_BYTES)
            response = await self._http.send(request)
        except (Refused, Unavailable) as error:
            return FollowerAnswer(member, None, str(error.code))
        if response.status != 200:
            is_earlier = response.status == 400 and bool(keys)
            code = Code.NOT_IMPLEMENTED if is_earlier else Code.RETRIEVAL_ANSWER_INVALID
            return FollowerAnswer(member, None, str(code))
        self._ranking.is_alive(member.did)
        try:
            return FollowerAnswer(member, msgspec.json.decode(response.body, type=FollowerProgress))
        except UNREADABLE:
            return FollowerAnswer(member, None, str(Code.RETRIEVAL_ANSWER_INVALID))
