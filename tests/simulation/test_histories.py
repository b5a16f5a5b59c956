"""Whatever happens, in whatever order: when it is over, all catalogues are the same.

The production code of a whole league runs in one process, on a ledger, stores, a network and clocks in
memory. A history that fails is shrunk and printed with the line that replays it. `make histories` tries many
(variable HISTORIES).
"""

from __future__ import annotations

import asyncio
import os

from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.core.limits import Limits
from tests.support.league import League
from tests.support.network import Fault, oversize, replaced, status

HISTORIES = int(os.environ.get("HISTORIES", "25"))
NAMES = ("lubeck", "bergen", "riga")
STATUSES = ("Launched", "Launched", "Retired", "In design", None)
FAULTS: dict[str, Fault] = {
    "wrong bytes": replaced(b'"n":', b'"m":'),
    "errors": status(500),
    "no entities": status(404),
    "no end": oversize(300_000),
    "nonsense": replaced(b"}", b"]"),
}

members = st.integers(0, len(NAMES) - 1)
entities = st.integers(0, 3)
operation = st.one_of(
    st.tuples(st.just("put"), members, entities, st.sampled_from(STATUSES), st.integers(0, 3)),
    st.tuples(st.just("put"), members, entities, st.just("Launched"), st.integers(0, 3)),
    st.tuples(st.just("delete"), members, entities),
    st.tuples(st.just("crash"), members),
    st.tuples(st.just("stop"), members),
    st.tuples(st.just("start"), members),
    st.tuples(st.just("down"), members),
    st.tuples(st.just("up"), members),
    st.tuples(st.just("slow"), members, st.sampled_from([0.0, 0.1, 1.0, 60.0])),
    st.tuples(st.just("fault"), members, st.sampled_from([None, *FAULTS])),
    st.tuples(st.just("engine"), members, st.booleans()),
    st.tuples(st.just("blocks"), members, st.sampled_from([0.0, 0.2, 1.0])),
    st.tuples(st.just("wait"), st.sampled_from([0.05, 0.2, 1.0, 5.0])),
)


async def act(league: League, step: tuple[object, ...]) -> None:
    """Do one thing."""
    match step:
        case ("put", int(who), entity, status, n):
            name = None if status is None else str(status)
            await league.marketplaces[who].put(str(entity), name, n=n)
        case ("delete", int(who), entity):
            member = league.marketplaces[who]
            await member.delete(member.id(str(entity)))
        case ("crash" | "start", int(who)):
            await league.marketplaces[who].restart()
        case ("stop", int(who)):
            await league.marketplaces[who].stop()
        case ("wait", float(seconds)):
            await league.run(seconds)
        case _:
            disturb(league, step)


def disturb(league: League, step: tuple[object, ...]) -> None:
    """Change how the network or the ledger behaves."""
    assert isinstance(step[1], int)
    member, network = league.marketplaces[step[1]], league.network
    match step:
        case ("down", _):
            network.down.add(member.endpoint)
        case ("up", _):
            network.down.discard(member.endpoint)
        case ("slow", _, float(delay_s)):
            network.delays_s[member.endpoint] = delay_s
        case ("fault", _, None):
            network.faults.pop(member.endpoint, None)
        case ("fault", _, str(name)):
            network.faults[member.endpoint] = FAULTS[name]
        case ("engine", _, bool(is_up)):
            member.bus.is_connected = is_up  # type: ignore[attr-defined]
        case ("blocks", _, float(delay_s)):
            league.ledger.commit_delay_s = delay_s
        case _:
            raise AssertionError(step)


async def play(steps: list[tuple[object, ...]]) -> None:
    """Play a history, let everything heal, and compare."""
    limits = Limits(
        retrieval_size_max_bytes=200_000,
        events_page_max=3,
        events_per_transaction_max=3,
        retrieval_entities_max=2,
    )
    async with League(NAMES, limits) as league:
        league.start()
        for step in steps:
            await act(league, step)
        league.network.down.clear()
        league.network.delays_s.clear()
        league.network.faults.clear()
        for member in league.marketplaces:
            member.bus.is_connected = True  # type: ignore[attr-defined]
            if not member.is_running:
                member.start()
        await league.settle()
        first, *others = await league.catalogues()
        assert all(other == first for other in others)
        for member in league.marketplaces:
            own = {id for id, (_, origin) in first.items() if origin == member.did}
            public = {e.id async for page in member.store.scan(own_only=True) for e in page}
            assert own == public
            assert (await member.view.progress((), None)).gauges.refused == 0
            assert await member.view.conflicts() == ()


@settings(max_examples=HISTORIES, print_blob=True)
@given(st.lists(operation, min_size=5, max_size=40))
def test_any_history_ends_in_equal_catalogues(steps: list[tuple[object, ...]]) -> None:
    asyncio.run(play(steps))
