"""Somebody who is logged in with a browser, at a whole marketplace."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.logins import ANA, cookie_of
from tests.support.whole import Whole, open_whole

PRIVATE = "/tmf-api/customerBillManagement/v4/customerBill"
OFFERINGS = "/tmf-api/productCatalogManagement/v4/productOffering"
OFFERING = {"name": "Storage", "lifecycleStatus": "Launched"}


@pytest.fixture
async def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Whole]:
    monkeypatch.chdir(tmp_path)
    async with open_whole(tmp_path / "lubeck") as opened:
        yield opened


async def test_a_session_reads_and_its_answers_are_for_nobody_else(whole: Whole) -> None:
    sessions = whole.marketplace.identity.sessions
    cookie = cookie_of(await sessions.begin(ANA, "/", {})).decode()
    assert (await whole.anonymous.get(PRIVATE)).status == 401
    answer = await whole.anonymous.get(PRIVATE, headers={"cookie": cookie})
    assert answer.status == 200
    assert answer.headers["cache-control"] == "private, no-store"
    assert "Cookie" in answer.headers["vary"]
    public = await whole.anonymous.get("/league/v1/openapi.json", headers={"cookie": cookie})
    assert public.headers["cache-control"] == "private, no-store"


async def test_a_session_writes_from_pages_of_this_marketplace_alone(whole: Whole) -> None:
    sessions = whole.marketplace.identity.sessions
    cookie = cookie_of(await sessions.begin(ANA, "/", {}))
    session = sessions.of({b"cookie": cookie})
    assert session is not None
    headers = {"cookie": cookie.decode()}
    assert (await whole.anonymous.post(OFFERINGS, OFFERING, headers=headers)).status == 403
    headers["x-csrf-token"] = sessions.form_token(session)
    elsewhere = {"origin": "https://evil.example", "host": "127.0.0.1:8101"}
    assert (await whole.anonymous.post(OFFERINGS, OFFERING, headers=headers | elsewhere)).status == 403
    assert (await whole.anonymous.post(OFFERINGS, OFFERING, headers=headers)).status == 201


async def test_a_person_who_is_removed_reads_nothing_private_from_that_moment_on(whole: Whole) -> None:
    identity = whole.marketplace.identity
    headers = {"cookie": cookie_of(await identity.sessions.begin(ANA, "/", {})).decode()}
    assert (await whole.anonymous.get(PRIVATE, headers=headers)).status == 200
    await identity.endings.remove("subject", ANA.subject)
    assert (await whole.anonymous.get(PRIVATE, headers=headers)).status == 401


async def test_operators_keep_somebody_out_and_let_in_again(whole: Whole) -> None:
    identity = whole.marketplace.identity
    headers = {"cookie": cookie_of(await identity.sessions.begin(ANA, "/", {})).decode()}
    party = {"kind": "subject", "name": ANA.subject}
    for client in (whole.anonymous, whole.with_role("provider")):
        assert (await client.post("/oidc/removed", party)).status in {401, 403}
        assert (await client.get("/oidc/removed")).status in {401, 403}
    assert (await whole.client.post("/oidc/removed", party)).json()["sessions_ended"] == 1
    assert (await whole.anonymous.get(PRIVATE, headers=headers)).status == 401
    (removed,) = (await whole.client.get("/oidc/removed")).json()["removed"]
    assert (removed["kind"], removed["name"]) == ("subject", ANA.subject)
    assert (await whole.client.post("/oidc/removed", party | {"readmit": True})).status == 200
    assert (await whole.client.post("/oidc/removed", party | {"readmit": True})).status == 404
    again = {"cookie": cookie_of(await identity.sessions.begin(ANA, "/", {})).decode()}
    assert (await whole.anonymous.get(PRIVATE, headers=again)).status == 200


@pytest.mark.parametrize(
    "body", [{}, {"kind": "planet", "name": "x"}, {"kind": "subject"}, {"kind": "subject", "name": ""}]
)
async def test_what_is_no_party_is_refused(whole: Whole, body: dict[str, str]) -> None:
    assert (await whole.client.post("/oidc/removed", body)).status == 400
