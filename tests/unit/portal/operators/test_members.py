"""Operators' pages about other members, and about what of them is not here."""

from __future__ import annotations

from urllib.parse import quote

import msgspec
import pytest

from hansa.portal.operators.league.league_map import SHOWN_MAX, league_map
from hansa.portal.operators.league.members import NOTE_MAX_CHARS, MemberNote
from tests.support.league_pages import OWN, REPLICA, RIGA, ROWS, LeagueSite
from tests.support.people import CSRF, OPERATOR, as_person

HOSTILE = "</a><script>alert(1)</script>"
MEMBER = f"/operator/members/{quote(RIGA, safe='')}"


@pytest.fixture
def site() -> LeagueSite:
    return LeagueSite()


async def test_a_member_is_shown_with_how_it_does(site: LeagueSite) -> None:
    text = await site.text("/operator/members")
    assert "does not answer" in text
    assert MEMBER in text
    assert "150 of 171" in text
    assert "<svg" in text


async def test_what_needs_to_be_looked_at_is_first_in_each_order(site: LeagueSite) -> None:
    honest = msgspec.structs.replace(
        ROWS[1], did="did:web:x", name="Xanten", wrong=0, failed=0, lag=0, latency_p50_ms=1
    )
    site.league.members.rows = (ROWS[0], honest, ROWS[1])
    for sort in ("lag", "failed", "honesty", "latency"):
        table = (await site.text(f"/operator/members?sort={sort}")).partition("<tbody>")[2]
        assert table.index("riga") < table.index("Xanten"), sort


async def test_a_thousand_members_are_pages_without_a_picture(site: LeagueSite) -> None:
    rows = (
        ROWS[0],
        *(msgspec.structs.replace(ROWS[1], did=f"did:web:m{n}", name=f"member {n}") for n in range(1000)),
    )
    site.league.members.rows = rows
    text = await site.text("/operator/members?page=2")
    assert text.count("<tr>") == 51
    assert "<svg" not in text
    assert 'rel="next"' in text
    assert len(text) < 100_000


def test_a_picture_has_room_for_so_many_members_alone() -> None:
    other = ROWS[1]
    assert league_map((ROWS[0], *[other] * SHOWN_MAX)) is not None
    assert league_map((ROWS[0], *[other] * (SHOWN_MAX + 1))) is None
    assert league_map(ROWS[1:]) is None


async def test_a_page_about_a_member_has_its_keys_addresses_and_failures(site: LeagueSite) -> None:
    text = await site.text(MEMBER)
    for shown in ("key-1", "revoked", "https://old.riga.example", "hash-mismatch", "160 of 172"):
        assert shown in text, shown


async def test_hostile_names_and_reasons_are_text(site: LeagueSite) -> None:
    members = site.league.members
    members.rows = (ROWS[0], msgspec.structs.replace(ROWS[1], name=HOSTILE, problem=HOSTILE))
    wrong = (msgspec.structs.replace(members.details.evidence[0], reason=HOSTILE),)
    members.details = msgspec.structs.replace(
        members.details, row=members.rows[1], evidence=wrong, note=MemberNote("</textarea>" + HOSTILE, "")
    )
    page = msgspec.structs.replace(site.league.replicas.shown, replicas=(msgspec.structs.replace(
        REPLICA, reason=HOSTILE, issuer_name=HOSTILE, type=HOSTILE, entity_id=HOSTILE),))  # fmt: skip
    site.league.replicas.shown = page
    for path in ("/operator/members", MEMBER, "/operator/replication"):
        assert "<script>" not in await site.text(path), path


@pytest.mark.parametrize(
    ("fields", "done", "act"),
    [
        ({"act": "pause"}, ("pause", RIGA), "member-pause"),
        ({"act": "resume"}, ("resume", RIGA), "member-resume"),
        ({"act": "retry"}, ("retry", RIGA), "member-retry"),
        ({"act": "note", "note": " asked\r\nthem "}, ("note", RIGA, "asked\nthem"), "member-note"),
    ],
)
async def test_what_an_operator_decides_is_done_and_on_record(
    site: LeagueSite, fields: dict[str, str], done: tuple[str, ...], act: str
) -> None:
    answer = await site.post(MEMBER, fields)
    assert (answer.status, answer.headers["location"]) == (303, MEMBER)
    assert site.league.members.done == [done]
    assert site.league.acts.notes == [("urn:subject:otto", act, RIGA, None)]


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        (MEMBER, {"act": "remove"}, 400),
        (MEMBER, {}, 400),
        (MEMBER, {"act": "note", "note": "x" * (NOTE_MAX_CHARS + 1)}, 400),
        ("/operator/members/did%3Aweb%3Anobody", {"act": "pause"}, 404),
        (f"/operator/members/{quote(OWN, safe='')}", {"act": "pause"}, 400),
        (f"/operator/members/{quote(OWN, safe='')}", {"act": "retry"}, 400),
        ("/operator/replication", {"state": "stored"}, 400),
        ("/operator/replication", {"origin": "did:web:nobody"}, 400),
        ("/operator/replication", {"entity": "x" * 513}, 400),
    ],
)
async def test_what_cannot_be_done_changes_nothing(
    site: LeagueSite, path: str, fields: dict[str, str], status: int
) -> None:
    assert (await site.post(path, fields)).status == status
    assert site.league.members.done == []
    assert site.league.replicas.asked == []
    assert site.league.acts.notes == []


async def test_a_form_of_another_session_changes_nothing(site: LeagueSite) -> None:
    fields = {"act": "pause", "csrf": f"{CSRF}x"}
    answer = await site.client.post_form(MEMBER, fields, as_person(OPERATOR))
    assert answer.status == 403
    assert site.league.members.done == []


async def test_states_are_asked_for_by_state_member_and_position(site: LeagueSite) -> None:
    text = await site.text(f"/operator/replication?state=failed&origin={quote(RIGA)}&after=5")
    assert site.league.replicas.asked == [("page", "failed", RIGA, 5, 100)]
    assert "after=1200" in text
    assert "no answer in time" in text


async def test_one_entity_says_why(site: LeagueSite) -> None:
    await site.text("/operator/replication?entity=urn:x")
    assert site.league.replicas.asked == [("why", "urn:x")]


async def test_retrievals_are_attempted_again_in_the_states_that_are_shown(site: LeagueSite) -> None:
    answer = await site.post("/operator/replication", {"state": "failed", "origin": RIGA, "entity": ""})
    assert answer.status == 303
    assert site.league.replicas.asked == [("retry", ("pending",), RIGA, None)]
    assert site.league.acts.notes == [("urn:subject:otto", "retrieval-retry", f"failed {RIGA}", None)]
    assert "7 retrievals are attempted again." in await site.text(answer.headers["location"])


@pytest.mark.parametrize(
    "query", ["state=x", "after=-1", "after=9" * 400, "after=%D9%A1", "origin=x", "entity=%00", "retried=x"]
)
async def test_a_query_that_makes_no_sense_is_refused(site: LeagueSite, query: str) -> None:
    answer = await site.client.get(f"/operator/replication?{query}", headers=as_person(OPERATOR))
    assert answer.status == 400
