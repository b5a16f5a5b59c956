"""What operators' pages show of a whole marketplace, whose league has it alone and whose ledger is silent."""

from __future__ import annotations

import pytest

from hansa.core.errors import Code, HansaError
from hansa.node.parts.pages.league.notes import MemberNotes
from hansa.node.parts.pages.operators import league_sources
from tests.support.whole import Whole


async def test_the_state_says_what_is_missing_and_how_much_there_is(whole: Whole) -> None:
    state = await league_sources(whole.marketplace.operated).state.state()
    assert state.status == "not ready"
    assert any("ledger" in one.message for one in state.wrong)
    assert state.figures.height is None
    assert state.figures.members == 1


async def test_a_member_is_known_although_the_ledger_does_not_answer(whole: Whole) -> None:
    members = league_sources(whole.marketplace.operated).members
    (own,) = await members.members()
    details = await members.member(own.did)
    assert own.is_own
    assert details is not None
    assert details.is_ledger_silent
    assert await members.member("did:web:nobody") is None


async def test_nobody_but_a_member_can_be_paused(whole: Whole) -> None:
    with pytest.raises(HansaError) as caught:
        await league_sources(whole.marketplace.operated).members.pause("did:web:nobody")
    assert caught.value.code is Code.NOT_FOUND


async def test_nothing_is_missing_of_nobody(whole: Whole) -> None:
    replicas = league_sources(whole.marketplace.operated).replicas
    for state in ("all", "failed"):
        page = await replicas.page(state, None, 0, 10)
        assert (page.replicas, page.next_after) == ((), None)
    assert await replicas.why("urn:nothing") == ()
    assert await replicas.retry(("pending",), None, None) == 0


async def test_a_note_takes_the_place_of_the_one_before_and_an_empty_one_is_none(whole: Whole) -> None:
    notes = MemberNotes(whole.marketplace.store)
    await notes.write("did:web:riga", "asked them")
    await notes.write("did:web:riga", "they answered")
    noted = await notes.of("did:web:riga")
    assert noted is not None
    assert noted.text == "they answered"
    await notes.write("did:web:riga", "")
    assert await notes.of("did:web:riga") is None


async def test_notes_have_a_bound(whole: Whole) -> None:
    notes = MemberNotes(whole.marketplace.store, count_max=2)
    for number in range(2):
        await notes.write(f"did:web:m{number}", "x")
    with pytest.raises(HansaError) as caught:
        await notes.write("did:web:more", "x")
    assert caught.value.code is Code.QUOTA_EXCEEDED
