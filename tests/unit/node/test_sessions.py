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
