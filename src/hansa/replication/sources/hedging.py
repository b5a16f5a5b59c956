"""Requests to origins, and to another member beside them while they are slow.

An origin that has answered often enough has a usual latency. A request that takes longer than 95 of a hundred
did is sent to the best other member too, if no more than one request in ten was so far. The first of the two
answers that has everything counts; the other request is cancelled. What fails is the origin's request alone,
as if there were no other: an absence or wrong bytes at the other member change nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, NamedTuple

from hansa.core.clock import Clock
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.members import Member
from hansa.replication.exchange import MemberAnswer, OriginClient
from hansa.replication.sources.other_members import OtherMembers
from hansa.replication.sources.ranking import SourceRanking
from hansa.store.tables.heads import Retrieval


class HedgedAnswer(NamedTuple):
    """An answer, and whose it is."""

    answer: MemberAnswer
    is_of_origin: bool


class HedgedRequests:
    """Requests versions of their origins.

    Args:
        client: Requests.
        others: The other members.
        ranking: Who is slow, and who is the best.
        types: Those that other members are requested for.
        clock: For latencies.
    """

    def __init__(
        self,
        client: OriginClient,
        others: OtherMembers,
        ranking: SourceRanking,
        types: frozenset[str],
        clock: Clock,
    ) -> None:
        self._client = client
        self._others = others
        self._ranking = ranking
        self._types = types
        self._clock = clock

    async def fetch(self, origin: Member, batch: Sequence[Retrieval]) -> HedgedAnswer:
        """The answer to a request for versions of an origin.

        Raises:
            Unavailable: As `OriginClient.fetch`, of the origin.
            Refused: As `OriginClient.fetch`, of the origin.
        """
        after_s = self._ranking.hedge_after_s(origin.did)
        is_shareable = all(one.type in self._types for one in batch)
        other = self._best_other(origin.did) if after_s is not None and is_shareable else None
        if after_s is None or other is None:
            return HedgedAnswer(await self._fetch(origin, batch), is_of_origin=True)
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(_result(self._fetch(origin, batch)))
            slow = tasks.create_task(self._clock.sleep(after_s))
            await asyncio.wait({first, slow}, return_when=asyncio.FIRST_COMPLETED)
            slow.cancel()
            if not first.done():
                self._ranking.hedged()
                hedge = tasks.create_task(self._fetch_all(other, batch))
                await asyncio.wait({first, hedge}, return_when=asyncio.FIRST_COMPLETED)
                answer = hedge.result() if hedge.done() and not first.done() else None
                if answer is not None:
                    first.cancel()
                    return HedgedAnswer(answer, is_of_origin=False)
                await asyncio.wait({first})
                hedge.cancel()
        result = first.result()
        if isinstance(result, MemberAnswer):
            return HedgedAnswer(result, is_of_origin=True)
        raise result

    def _best_other(self, origin: str) -> Member | None:
        members = self._others.others(origin)
        ready = [did for did in self._ranking.ready(members) if self._ranking.is_rich(did)]
        return members[ready[0]] if ready else None

    async def _fetch(self, origin: Member, batch: Sequence[Retrieval]) -> MemberAnswer:
        started_at_s = self._clock.monotonic()
        try:
            answer = await self._client.fetch(origin, batch)
        except (Refused, Unavailable) as error:
            if error.code is not Code.RETRIEVAL_TOO_LARGE:  # which says nothing of the origin
                self._ranking.failed(origin.did)
            raise
        received = sum(line.status == "found" for line in answer.lines)
        self._ranking.answered(origin.did, self._clock.monotonic() - started_at_s, len(batch), received)
        return answer

    async def _fetch_all(self, other: Member, batch: Sequence[Retrieval]) -> MemberAnswer | None:
        """What another member has, if that is everything."""
        try:
            held = await self._others.held(other, batch)
        except Refused:
            self._ranking.failed(other.did)
            return None
        return MemberAnswer(tuple(map(held.__getitem__, batch)), None) if len(held) == len(batch) else None


async def _result(fetching: Coroutine[Any, Any, MemberAnswer]) -> MemberAnswer | Refused | Unavailable:
    """What fetching gave or raised, so that a failure ends nothing else."""
    try:
        return await fetching
    except (Refused, Unavailable) as error:
        return error
