"""Real queries over a real catalogue: what is expected is among the first three hits, also mistyped."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from tests.support.searching import Searched, draft_of, open_searched

QUERIES = Path(__file__).with_name("landscape_queries.txt")
FIRST = 3
pytestmark = pytest.mark.timeout(300)


def queries() -> list[tuple[str, str]]:
    """What is looked for, and what is expected."""
    lines = [line for line in QUERIES.read_text().splitlines() if line and not line.startswith("#")]
    return [(text, name) for text, _, name in (line.partition(" | ") for line in lines)]


@pytest_asyncio.fixture
async def landscape(shared: Path, tmp_path: Path) -> AsyncIterator[Searched]:
    async with open_searched(tmp_path) as searched:
        for path in sorted((shared / "data" / "landscape").glob("marketplace-*.jsonl")):
            drafts = [draft_of(msgspec.json.decode(line)) for line in path.read_bytes().splitlines()]
            async with searched.business.store.transaction() as tx:
                await tx.add_all(drafts)
        await searched.follower.catch_up()
        yield searched


async def share_found(searched: Searched, asked: list[tuple[str, str]]) -> float:
    """Of queries, those whose first hits have what is expected."""
    hits = 0
    for text, name in asked:
        page = await searched.page(text, limit=FIRST)
        hits += name in [hit.name.text for hit in page.hits]
    return hits / len(asked)


def mistyped(asked: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Queries with a wrong letter in their longest word: left out, changed with its neighbour, or another."""
    drawn = random.Random(5)
    wrong = []
    for text, name in asked:
        word = max(text.split(), key=len)
        if len(word) < 5 or not word.isalpha():
            continue
        at = drawn.randrange(1, len(word) - 1)
        other = drawn.choice(
            [
                word[:at] + word[at + 1 :],
                word[:at] + word[at + 1] + word[at] + word[at + 2 :],
                word[:at] + drawn.choice("aeiostr") + word[at + 1 :],
            ]
        )
        wrong.append((text.replace(word, other), name))
    return wrong


async def test_nine_of_ten_queries_have_what_is_expected_among_the_first(landscape: Searched) -> None:
    asked = queries()
    assert len(asked) == 200
    assert await share_found(landscape, asked) >= 0.9
    assert await share_found(landscape, mistyped(asked)) >= 0.9
