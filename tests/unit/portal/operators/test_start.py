"""The operators' start page, and who may see what is for operators."""

from __future__ import annotations

import msgspec
import pytest

from hansa.portal.operators.league.start import Wrong
from tests.support.league_pages import STATE, LeagueSite
from tests.support.people import CUSTOMER, OPERATOR, PROVIDER, as_person

HOSTILE = "</p><script>alert(1)</script>\u202e\x00"


@pytest.fixture
def pages() -> LeagueSite:
    return LeagueSite()


async def test_every_page_is_for_operators_alone(pages: LeagueSite) -> None:
    seen: dict[tuple[str, ...], int] = {}
    for route in pages.routes:
        path = route.path.replace("{did}", "x").replace("{position}", "1").replace("{hash}", "ab")
        for who in (PROVIDER, CUSTOMER):
            seen[path, who] = (await pages.client.get(path, headers=as_person(who))).status
            if "POST" in (route.methods or ()):
                seen["POST", path, who] = (await pages.client.post(path, headers=as_person(who))).status
        stranger = await pages.client.get(path)
        seen[path,] = stranger.status
        assert stranger.headers["location"].startswith("/login?return_to=%2Foperator")
    assert set(seen.values()) == {303, 403}


async def test_the_state_is_one_sentence_and_what_to_do(pages: LeagueSite) -> None:
    text = await pages.text("/operator")
    assert "The marketplace serves, and one thing has to be looked at." in text
    assert "retrievals from bruges fail" in text
    assert "Ask that member&#39;s operator." in text


async def test_a_marketplace_that_does_not_serve_says_why(pages: LeagueSite) -> None:
    wrong = (Wrong("not-ready", "the ledger does not answer: no file", "", "", False),)
    figures = msgspec.structs.replace(STATE.figures, height=None, position=None, lag=None)
    pages.league.state.now = msgspec.structs.replace(STATE, status="not ready", wrong=wrong, figures=figures)
    text = await pages.text("/operator")
    assert "takes no traffic" in text
    assert "the ledger does not answer" in text
    assert "unknown" in text


async def test_only_pages_that_there_are_are_linked(pages: LeagueSite) -> None:
    text = await pages.text("/operator")
    navigation = text.partition('<nav class="places"')[2].partition("</nav>")[0]
    paths = {route.path for route in pages.routes}
    linked = {part.partition('"')[0] for part in navigation.split('href="')[1:]}
    assert "/operator" in linked
    assert linked <= paths


async def test_the_state_is_there_as_json(pages: LeagueSite) -> None:
    answer = await pages.client.get(
        "/operator", headers={**as_person(OPERATOR), "accept": "application/json"}
    )
    assert answer.json()["state"]["figures"]["height"] == 812


async def test_what_others_say_is_shown_as_text(pages: LeagueSite) -> None:
    wrong = msgspec.structs.replace(STATE.wrong[0], message=HOSTILE)
    answers = (msgspec.structs.replace(STATE.wrong_answers[0], name=HOSTILE, reason=HOSTILE),)
    pages.league.state.now = msgspec.structs.replace(STATE, wrong=(wrong,), wrong_answers=answers)
    text = await pages.text("/operator")
    assert "<script>" not in text
    assert "\x00" not in text
