from __future__ import annotations

from typing import Any

from hansa.core.members import Member
from hansa.portal import Overview
from tests.support.portal import EVIL, Elements, portal_client


def overview(**changes: Any) -> Overview:
    member = Member(did="did:x:1", name="riga", endpoint="https://riga.example", keys=(), power=1)
    values: dict[str, Any] = {
        "name": "lubeck",
        "did": "did:x:0",
        "version": "1",
        "counts": (("ProductOffering", 3, 4),),
        "members": (member,),
        "height": 7,
        "position": 9,
    }
    return Overview(**{**values, **changes})


async def shown(state: Overview) -> Elements:
    return Elements((await portal_client(state).get("/about")).body)


async def test_the_page_shows_who_this_is_and_what_is_here() -> None:
    page = await shown(overview())
    for text in ("lubeck", "did:x:0", "ProductOffering", "riga", "height 7", "9 events"):
        assert text in page.text
    assert {"https://riga.example", "/docs"} <= set(page.links)


async def test_what_others_say_is_shown_as_text() -> None:
    member = Member(did=EVIL, name=EVIL, endpoint=f"javascript:{EVIL}", keys=(), power=1)
    page = await shown(overview(name=EVIL, did=EVIL, counts=((EVIL, 0, 0),), members=(member,)))
    assert "script" not in {tag for tag, _ in page.elements}
    assert all(link.startswith(("/", "#")) for link in page.links)
    assert EVIL in page.text


async def test_links_to_others_tell_them_and_search_engines_nothing() -> None:
    page = await shown(overview())
    (link,) = [one for tag, one in page.elements if tag == "a" and one["href"] == "https://riga.example"]
    assert link["rel"] == "noopener nofollow ugc"


async def test_a_silent_ledger_is_said_to_be_so() -> None:
    assert "does not answer" in (await shown(overview(height=None, position=None))).text


async def test_programs_get_the_same_as_json() -> None:
    answer = await portal_client(overview()).get("/about", headers={"accept": "application/json"})
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["members"][0]["name"] == "riga"
