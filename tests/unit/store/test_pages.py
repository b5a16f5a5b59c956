"""Turning pages: right whatever is written meanwhile, and nothing is skipped."""

from __future__ import annotations

import random

import msgspec
import pytest

from hansa.store import Filter, Query
from hansa.store.sql import Parameter, Row
from hansa.store.sqlite.lists.row_cache import RowCache, shown_row
from tests.unit.store.drafts import OFFERING, draft, opened, put
from tests.unit.store.plain_lists import LAUNCHED, check_list, offerings


async def test_every_page_of_a_list_is_right_whoever_turns_them_and_whatever_is_written_meanwhile() -> None:
    draw = random.Random(7)
    stored = offerings(700)
    queries = [
        Query(OFFERING),
        Query(OFFERING, (LAUNCHED,)),
        Query(OFFERING, (LAUNCHED,), public_only=False),
        Query(OFFERING, (Filter(("lifecycleStatus",), ("Launched", "Retired")),)),
    ]
    async with opened() as store:
        await put(store, *stored)
        for turn in range(60):
            query = draw.choice(queries)
            limit = draw.choice([1, 20, 20, 100, 130])
            offset = draw.choice([0, 20, 40, 95, 100, 480, draw.randrange(720)])
            await check_list(store, stored, msgspec.structs.replace(query, offset=offset, limit=limit))
            if turn % 6 == 5:  # behind all others
                stored.append(draft(f"new{turn}", lifecycleStatus="Launched"))
                await put(store, stored[-1])
            if turn % 15 == 14:  # in the midst of them
                place = draw.randrange(len(stored))
                changed = draft(stored[place].id, lifecycleStatus=draw.choice(["Launched", "Obsolete"]))
                stored[place] = changed
                await put(store, changed)


async def test_who_turns_pages_skips_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[tuple[str, tuple[Parameter, ...]]] = []

    async with opened() as store:
        await put(store, *offerings(700))

        def fetch(sql: str, parameters: tuple[Parameter, ...] = ()) -> list[Row]:
            fetched.append((sql, parameters))
            return cache(sql, parameters)

        cache = store._lists._fetch
        monkeypatch.setattr(store._lists, "_fetch", fetch)
        for offset in range(0, 400, 20):
            await store.list(Query(OFFERING, offset=offset, limit=20))
        orders = [parameters for sql, parameters in fetched if "OFFSET" in sql]
        assert [parameters[-1] for parameters in orders] == [0, 0, 0, 0, 0]
        assert len(orders) < 20


def test_what_lists_show_is_kept_within_its_bound() -> None:
    rows = RowCache(16_000)
    for number in range(100):
        rows.put(number, shown_row(f"e{number}", b"x" * 296))
    assert rows.get_many([98, 99]) == [shown_row("e98", b"x" * 296), shown_row("e99", b"x" * 296)]
    assert rows.get_many([0]) == [None]
    assert sum(row is not None for row in rows.get_many(range(100))) == 20
    rows.discard("e99")
    assert rows.get_many([99]) == [None]
    rows.put(200, shown_row("large", b"x" * 10_000))
    assert rows.get_many([200]) == [None]
