"""Operators' pages about what the members decide."""

from __future__ import annotations

import msgspec
import pytest

from tests.support.league_pages import EFFECT, OWN, PROPOSAL, RIGA, LeagueSite
from tests.support.people import OPERATOR, as_person
from tests.support.portal import Elements

HOSTILE = "</bdi><script>alert(1)</script>"
PATH = f"/operator/proposals/{PROPOSAL.hash}"
SUSPEND = {"kind": "suspend", "member": RIGA, "number": "24", "note": "", "days": "7"}


@pytest.fixture
def site() -> LeagueSite:
    return LeagueSite()


async def test_a_proposal_is_shown_with_what_it_would_change_and_who_has_voted(site: LeagueSite) -> None:
    text = await site.text(PATH)
    for shown in (EFFECT.text, "10 for, 0 against, 27 needed", "bergen", "Not voted yet:"):
        assert shown in text, shown


async def test_a_vote_is_cast_by_the_marketplace_and_on_record_with_the_person(site: LeagueSite) -> None:
    answer = await site.post(f"/operator/proposals/{PROPOSAL.hash[:12]}", {"choice": "no"})
    assert (answer.status, answer.headers["location"]) == (303, PATH)
    assert site.league.proposals.done == [("vote", PROPOSAL.hash, "no")]
    assert site.league.acts.notes == [("urn:subject:otto", "proposal-vote-no", PROPOSAL.hash, None)]


async def test_nothing_is_proposed_before_its_effect_was_shown_and_confirmed(site: LeagueSite) -> None:
    shown = await site.post("/operator/proposals/new", SUSPEND)
    assert shown.status == 200
    assert site.league.proposals.done == []
    assert site.league.acts.notes == []
    text = shown.body.decode() if b"<html" in shown.body else ""
    assert EFFECT.text in text
    assert "needs voting power 27 of 40" in text
    answer = await site.post("/operator/proposals/new", {**SUSPEND, "confirmed": "yes"})
    assert answer.headers["location"] == PATH
    assert site.league.proposals.done == [("propose", "suspend", RIGA, "24")]
    assert site.league.acts.notes == [("urn:subject:otto", "proposal-make", f"suspend {RIGA}", None)]


async def test_what_cannot_be_proposed_says_why_and_leaves_the_form_as_it_was(site: LeagueSite) -> None:
    site.league.proposals.problem = "Voting power is a whole number."
    answer = await site.post("/operator/proposals/new", {**SUSPEND, "number": "many", "confirmed": "yes"})
    text = answer.body.decode()
    assert "Voting power is a whole number." in text
    assert 'value="many"' in text
    assert site.league.proposals.done == []


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("suspend", {"member", "number"}),
        ("anchor-remove", {"anchor", "keys"}),
        ("certificate", {"member", "text"}),
        ("policy", {"text"}),
        ("upgrade", {"ruleset", "engine", "number"}),
    ],
)
async def test_the_form_of_a_kind_has_its_fields_and_no_others(
    site: LeagueSite, kind: str, fields: set[str]
) -> None:
    answer = await site.client.get(
        f"/operator/proposals?kind={kind}", headers={"accept": "text/html", **as_person(OPERATOR)}
    )
    named = {
        attributes["name"]
        for tag, attributes in Elements(answer.body).elements
        if tag in {"input", "select", "textarea"} and attributes.get("name")
    }
    assert named - {"q", "csrf", "kind", "note", "days", "return_to", "lang", "theme"} == fields


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "downgrade"},
        {"kind": "anchor-remove", "keys": "burn"},
        {"kind": "upgrade", "engine": "v" * 300},
        {},
        {"kind": "admit", "days": "400"},
        {"kind": "admit", "note": "two\nlines"},
        {"kind": "admit", "note": "x" * 201},
        {"kind": "param", "parameter": "x" * 300},
    ],
)
async def test_a_form_that_makes_no_sense_is_refused(site: LeagueSite, fields: dict[str, str]) -> None:
    assert (await site.post("/operator/proposals/new", fields)).status == 400
    assert site.league.proposals.done == []


@pytest.mark.parametrize(
    ("name", "choice", "status"), [("ffff", "yes", 404), ("0f0f", "maybe", 400), ("x" * 200, "no", 404)]
)
async def test_a_vote_for_nothing_is_refused(site: LeagueSite, name: str, choice: str, status: int) -> None:
    assert (await site.post(f"/operator/proposals/{name}", {"choice": choice})).status == status
    assert site.league.proposals.done == []
    assert site.league.acts.notes == []


async def test_words_of_other_members_are_text(site: LeagueSite) -> None:
    effect = msgspec.structs.replace(EFFECT, text=HOSTILE, subject=HOSTILE, old=HOSTILE, new=HOSTILE)
    site.league.proposals.open = msgspec.structs.replace(
        PROPOSAL, note=HOSTILE, reason=HOSTILE, proposer_name=HOSTILE, changes=(effect,), missing=(HOSTILE,)
    )
    for path in ("/operator/proposals", PATH):
        assert "<script>" not in await site.text(path), path


async def test_a_closed_proposal_takes_no_vote(site: LeagueSite) -> None:
    site.league.proposals.open = msgspec.structs.replace(PROPOSAL, outcome="passed", missing=())
    assert "<form" not in (await site.text(PATH)).partition("<main")[2].partition("</main>")[0]


async def test_how_this_marketplace_has_voted_is_said(site: LeagueSite) -> None:
    votes = (msgspec.structs.replace(PROPOSAL.votes[0], voter=OWN),)
    site.league.proposals.open = msgspec.structs.replace(PROPOSAL, votes=votes)
    assert "has voted for it" in await site.text(PATH)


async def test_proposals_are_there_as_json(site: LeagueSite) -> None:
    headers = {**as_person(OPERATOR), "accept": "application/json"}
    answer = await site.client.get("/operator/proposals", headers=headers)
    assert answer.json()["proposals"][0]["hash"] == PROPOSAL.hash
