"""Operators' pages about events and about votes on blocks."""

from __future__ import annotations

from urllib.parse import quote

import msgspec
import pytest

from hansa.portal.operators.league.events import PAGE_SIZE, EventChoice, EventList
from tests.support.league_pages import EVENT, RIGA, LeagueSite
from tests.support.people import OPERATOR, as_person

HOSTILE = "</pre><script>alert(1)</script>"


@pytest.fixture
def site() -> LeagueSite:
    return LeagueSite()


async def test_the_newest_events_are_shown_and_followed_from_there(site: LeagueSite) -> None:
    text = await site.text("/operator/events")
    assert site.league.events.requested == [("newest", PAGE_SIZE)]
    assert 'data-stream="/league/v1/events/stream?after=1234"' in text
    assert "categoryCreateEvent" in text


async def test_filters_go_to_the_ledger_and_to_the_stream(site: LeagueSite) -> None:
    query = f"type=Category&issuer={quote(RIGA)}&entity=urn:x&since=2026-11-30T12:00"
    text = await site.text(f"/operator/events?{query}")
    choice = EventChoice("Category", RIGA, "urn:x", "2026-11-30T12:00:00.000Z", "")
    assert site.league.events.requested == [(choice, 0, PAGE_SIZE)]
    assert "entityType=Category" in text
    assert "from=2026-11-30T12%3A00%3A00.000Z" in text


async def test_a_page_that_is_not_the_last_leads_on_and_follows_nothing(site: LeagueSite) -> None:
    site.league.events.shown = EventList((EVENT.shown,), 1234, 9999)
    text = await site.text("/operator/events?after=1200")
    assert "data-stream" not in text
    assert "after=1234" in text
    assert "after=1183" in text


async def test_an_event_is_shown_with_its_payload_signature_and_the_command_that_checks_it(
    site: LeagueSite,
) -> None:
    text = await site.text("/operator/events/1234")
    for shown in (
        "The signature holds",
        "categoryCreateEvent",
        f"hansa receipt https://lubeck.example {EVENT.id}",
    ):
        assert shown in text, shown


async def test_an_event_whose_signature_does_not_hold_says_so(site: LeagueSite) -> None:
    site.league.events.details = msgspec.structs.replace(EVENT, is_verified=False, problem="no such key")
    text = await site.text("/operator/events/1234")
    assert "could not be verified" in text
    assert "The signature holds" not in text


async def test_what_issuers_wrote_is_text(site: LeagueSite) -> None:
    shown = msgspec.structs.replace(EVENT.shown, type=HOSTILE, issuer_name=HOSTILE, key=HOSTILE)
    site.league.events.details = msgspec.structs.replace(
        EVENT, shown=shown, payload=HOSTILE, kid=HOSTILE, location="javascript:alert(1)", problem=HOSTILE
    )
    site.league.events.shown = EventList((shown,), 1234, 1234)
    for path in ("/operator/events", "/operator/events/1234"):
        text = await site.text(path)
        assert "<script>" not in text, path
        assert 'href="javascript:' not in text, path


@pytest.mark.parametrize("position", ["0", "-1", "x", "9" * 400, "%D9%A1", "1234.0", "99"])
async def test_no_event_is_at_a_position_that_is_none(site: LeagueSite, position: str) -> None:
    answer = await site.client.get(f"/operator/events/{position}", headers=as_person(OPERATOR))
    assert answer.status == 404


@pytest.mark.parametrize(
    "query",
    [
        "since=yesterday",
        "since=0001-01-01T00:00%2B14:00",
        "until=%00",
        "after=x",
        "type=" + "x" * 300,
        "entity=%0A%00x",
    ],
)
async def test_a_filter_that_makes_no_sense_is_refused(site: LeagueSite, query: str) -> None:
    answer = await site.client.get(f"/operator/events?{query}", headers=as_person(OPERATOR))
    assert answer.status == 400


async def test_whose_votes_are_missing_in_which_block_is_shown(site: LeagueSite) -> None:
    text = await site.text("/operator/validators")
    assert text.count("○</span>") == 1
    assert text.count("●</span>") == 3
    assert ">riga<" in text


async def test_without_an_engine_the_powers_are_shown(site: LeagueSite) -> None:
    site.league.validators.shown = msgspec.structs.replace(
        site.league.validators.shown,
        blocks=(),
        validators=tuple(
            msgspec.structs.replace(one, signed=(), missed=0)
            for one in site.league.validators.shown.validators
        ),
    )
    assert "only the voting powers" in await site.text("/operator/validators")
