"""A caller finds, counts and is offered what it may read, and nothing else: as its lists have it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import msgspec
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.rights import (
    ACME,
    BOLT,
    CALLERS,
    OFFERINGS,
    RightsBusiness,
    few_models,
    open_rights,
    party,
)
from tests.support.searching import Searched, counts, draft_of, offering, open_searched

POLICIES: Final[dict[str, dict[str, str]]] = {
    "shipped": {},
    "forbids": {
        "f.cedar": '@id("f") forbid (principal, action == Action::"read", resource) when { resource.status == "Retired" };'
    },
    "permits": {
        "p.cedar": f'@id("p") permit (principal, action == Action::"read", resource) when {{ resource.buyers.contains(Organization::"{BOLT}") }};'
    },
}
FEW: Final = few_models("TMF620", "TMF632")
DRAFT: Final = {"lifecycleStatus": "In study"}
ENTITIES: Final = (
    offering("public", "Quokka", relatedParty=[party(ACME)]),
    {**offering("retired", "Quokka retired"), "lifecycleStatus": "Retired"},
    {**offering("of-acme", "Quokka acmedraft", relatedParty=[party(ACME)]), **DRAFT},
    {**offering("of-bolt", "Quokka boltdraft", relatedParty=[party(BOLT)]), **DRAFT},
    {**offering("for-bolt", "Quokka", relatedParty=[party(ACME), party(BOLT, "Buyer")]), **DRAFT},
    {**offering("of-nobody", "Quokka orphan"), **DRAFT},
)


@pytest_asyncio.fixture(params=POLICIES)
async def both(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[RightsBusiness, Searched]]:
    rights = await open_rights(POLICIES[request.param], models=FEW)
    business = rights.business
    business.context = rights.context
    await rights.put(*(draft_of(one) for one in ENTITIES))
    async with open_searched(tmp_path, business) as searched:
        yield rights, searched
    await rights.store.close()


@pytest.mark.parametrize("name", CALLERS)
async def test_a_search_has_what_the_list_has(both: tuple[RightsBusiness, Searched], name: str) -> None:
    rights, searched = both
    caller = CALLERS[name]
    answer = await rights.as_(name).get(OFFERINGS)
    listed = {one["id"] for one in answer.json()} if answer.status in {200, 206} else set()
    for _ in range(2):
        for text in ("quokka", ""):
            page = await searched.page(text, caller)
            assert {hit.id for hit in page.hits} == listed
            assert page.total == len(listed)
            assert sum(counts(page, "status").values()) == len(listed)
        await searched.follower.catch_up()


@pytest.mark.parametrize("name", CALLERS)
async def test_no_word_of_what_others_have_is_offered(
    both: tuple[RightsBusiness, Searched], name: str
) -> None:
    _, searched = both
    await searched.follower.catch_up()
    caller = CALLERS[name]
    readable = await searched.ids("quokka", caller)
    for word, id in (("acmedraft", "of-acme"), ("boltdraft", "of-bolt"), ("orphan", "of-nobody")):
        if id in readable:
            continue
        assert word not in " ".join(await searched.suggested(word[:4], caller)).lower()
        page = await searched.page(word[:-1], caller)
        assert word not in msgspec.json.encode(page).decode().lower()


who: Final = st.lists(st.sampled_from((ACME, BOLT)), max_size=2, unique=True)
drawn: Final = st.lists(st.tuples(st.booleans(), who, who), min_size=1, max_size=6)


@pytest.mark.parametrize("policies", POLICIES)
@settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(made=drawn)
async def test_a_search_has_what_the_list_has_while_parties_change(
    tmp_path: Path, policies: str, made: list[tuple[bool, list[str], list[str]]]
) -> None:
    """Each offering has parties, and then others: found and counted at once, on whole pages."""
    rights = await open_rights(POLICIES[policies], models=FEW)
    business = rights.business
    business.context = rights.context
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    folder.mkdir()
    async with open_searched(folder, business) as searched:
        for step in (1, 2):
            for number, (is_public, *parties) in enumerate(made):
                related = [party(one, "Buyer" if step == 2 else "Owner") for one in parties[step - 1]]
                fields = offering(f"e{number}", "Quokka", relatedParty=related)
                await rights.put(draft_of(fields if is_public else {**fields, **DRAFT}))
            for is_caught_up in (False, True):
                if is_caught_up:
                    await searched.follower.catch_up()
                for name in ("stranger", "acme", "bolt"):
                    answer = await rights.as_(name).get(OFFERINGS)
                    listed = {one["id"] for one in answer.json()}
                    found: list[str] = []
                    for offset in range(0, max(1, len(listed)), 2):
                        page = await searched.page("quokka", CALLERS[name], offset=offset, limit=2)
                        assert page.total == len(listed)
                        assert len(page.hits) == min(2, len(listed) - offset)
                        found += [hit.id for hit in page.hits]
                    assert sorted(found) == sorted(listed)
    await rights.store.close()
