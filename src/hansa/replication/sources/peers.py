"""The other members as an operator sees them: as origins, as sources, and as followers of this marketplace.

How far a follower is with the entities of this marketplace, it says itself: any member may ask another one
what it has of its own entities (`own_progress`), and of nobody else's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
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
from hansa.store.tables import evidence, origins
from hansa.store.tables.heads import FOLLOWER_CURSOR

FOLLOWED_PATH: Final = "/league/v1/followed"
TIMEOUT_S: Final = 3.0
ANSWER_MAX_BYTES: Final = 16_384


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
        said = dict(zip([one.did for one in requested], answers, strict=True))
        peers: list[Peer] = []
        for one in members:
            follower, problem = said.get(one.did, (None, None))
            wrong = {code: count for (did, code), count in counts.items() if did == one.did}
            described = (one.did, one.name, one.endpoint, one.status, by_did.get(one.did), figures[one.did])
            peers.append(Peer(*described, wrong, proofs.get(one.did, 0), follower, problem))
        return tuple(peers)

    async def own_progress(self, did: str) -> FollowerProgress:
        """How far this marketplace is with the entities of a member."""
        position = await self._store.cursor(FOLLOWER_CURSOR)
        origin = next((one for one in await origins.origins(self._store) if one.did == did), None)
        if origin is None:
            return FollowerProgress(position, 0, 0, 0, 0, 0, 0, 0)
        return FollowerProgress(
            *(position, origin.heads, origin.stored, origin.pending),
            *(origin.deferred, origin.skipped, origin.rejected, origin.deleted),
        )

    async def _progress(self, member: Member) -> tuple[FollowerProgress | None, str | None]:
        """What a member says of how far it is; or the code of the reason why it says nothing."""
        url = member.endpoint + FOLLOWED_PATH
        headers = self._signer.headers(member.did, "GET", url, b"")
        try:
            request = HttpRequest("GET", url, headers, b"", TIMEOUT_S, ANSWER_MAX_BYTES)
            response = await self._http.send(request)
        except (Refused, Unavailable) as error:
            return None, str(error.code)
        if response.status != 200:
            return None, str(Code.RETRIEVAL_ANSWER_INVALID)
        self._ranking.is_alive(member.did)
        try:
            return msgspec.json.decode(response.body, type=FollowerProgress), None
        except UNREADABLE:
            return None, str(Code.RETRIEVAL_ANSWER_INVALID)
