"""Codes and refresh tokens become access tokens, for whom they are and once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from hansa.identity.credentials.status.references import HeldStatus, StatusReference
from tests.support.credentials import ISSUER, LIST_URI, token_list
from tests.support.logins import ANA, BOB, ENDPOINT
from tests.support.provider import (
    BACK,
    PORTAL,
    PUBLIC,
    VERIFIER,
    Provided,
    error_of,
    payload_of,
)

# -- codes --------------------------------------------------------------------------------------------------


async def test_a_code_becomes_tokens_with_the_rights_of_the_credential(op: Provided) -> None:
    tokens = await op.tokens_of()
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 900)
    assert tokens["scope"] == "openid profile email write"
    claims = payload_of(tokens["access_token"])
    assert (claims["iss"], claims["aud"], claims["client_id"]) == (ENDPOINT, ENDPOINT, PORTAL)
    assert (claims["sub"], claims["organization"]) == (ANA.subject, ANA.organization)
    assert claims["powers"] == [
        {"domain": "DOME", "function": "ProductOffering", "actions": ["Create", "Update"]}
    ]
    assert await op.is_good(tokens["access_token"])


async def test_an_id_token_says_who_logged_in_when_and_for_whom(op: Provided) -> None:
    tokens = await op.tokens_of()
    claims = payload_of(tokens["id_token"])
    assert (claims["iss"], claims["aud"], claims["sub"]) == (ENDPOINT, PORTAL, ANA.subject)
    assert (claims["nonce"], claims["auth_time"]) == ("n-0S6_WzA2Mj", op.now_s)
    assert (claims["name"], claims["email"]) == (ANA.name, ANA.email)
    assert claims["exp"] == op.now_s + 600


async def test_scopes_open_what_they_say_and_no_more(op: Provided) -> None:
    tokens = await op.tokens_of(scope="openid")
    answer = (await op.userinfo(tokens["access_token"])).json()
    assert answer == {"sub": ANA.subject}
    assert "name" not in payload_of(tokens["access_token"])
    everything = await op.tokens_of(scope="openid profile email learcredential")
    answer = (await op.userinfo(everything["access_token"])).json()
    assert (answer["name"], answer["email"]) == (ANA.name, ANA.email)
    assert answer["powers"][0]["function"] == "ProductOffering"


async def test_userinfo_is_for_tokens_of_openid(op: Provided) -> None:
    tokens = await op.tokens_of(scope="write")
    assert "id_token" not in tokens
    answer = await op.userinfo(tokens["access_token"])
    assert (answer.status, answer.json()["error"]) == (403, "insufficient_scope")


async def test_a_code_that_is_used_twice_ends_what_came_of_it(op: Provided) -> None:
    code = await op.code()
    tokens = (await op.redeemed(code)).json()
    assert error_of(await op.redeemed(code)) == "invalid_grant"
    assert not await op.is_good(tokens["access_token"])
    assert error_of(await op.refreshed(tokens["refresh_token"])) == "invalid_grant"


@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": None},
        {"code_verifier": "A" * 43},
        {"code_verifier": VERIFIER + "\n"},
        {"code_verifier": "short"},
        {"redirect_uri": None},
        {"redirect_uri": f"{BACK}/"},
        {"code": "A" * 43},
    ],
)
async def test_a_code_is_good_for_its_verifier_and_address_alone(
    op: Provided, changes: dict[str, str | None]
) -> None:
    code = await op.code()
    assert (
        error_of(await op.redeemed(changes.get("code") or code, **_without(changes, "code")))
        == "invalid_grant"
    )


def _without(changes: dict[str, str | None], name: str) -> dict[str, str | None]:
    return {key: value for key, value in changes.items() if key != name}


async def test_a_verifier_is_tried_once(op: Provided) -> None:
    code = await op.code()
    assert error_of(await op.redeemed(code, code_verifier="B" * 43)) == "invalid_grant"
    assert error_of(await op.redeemed(code)) == "invalid_grant"


async def test_a_code_is_of_its_client_alone(tmp_path: Path) -> None:
    op = Provided(tmp_path, PUBLIC, msgspec.structs.replace(PUBLIC, client_id="other"))
    code = await op.code()
    assert error_of(await op.redeemed(code, client_id="other")) == "invalid_grant"
    assert (await op.redeemed(code)).status == 200


async def test_a_code_ends_after_a_minute(op: Provided) -> None:
    code = await op.code()
    await op.clock.advance(60)
    assert error_of(await op.redeemed(code)) == "invalid_grant"


async def test_tokens_end_with_the_credential(op: Provided) -> None:
    expires_s = op.now_s + 100
    tokens = await op.tokens_of(msgspec.structs.replace(ANA, credential_expires_s=expires_s))
    assert payload_of(tokens["access_token"])["exp"] == expires_s
    await op.clock.advance(100)
    assert error_of(await op.refreshed(tokens["refresh_token"])) == "invalid_grant"
    await op.clock.advance(299)  # clocks may be five minutes apart
    assert await op.is_good(tokens["access_token"])
    await op.clock.advance(1)
    assert not await op.is_good(tokens["access_token"])


async def test_a_credential_with_more_powers_than_a_token_carries_gets_none(op: Provided) -> None:
    power = msgspec.structs.replace(ANA.powers[0], function="F" * 500)
    principal = msgspec.structs.replace(ANA, powers=(power,) * 50)
    assert error_of(await op.redeemed(await op.code(principal))) == "invalid_grant"


@pytest.mark.parametrize(
    ("kind", "name"),
    [("subject", ANA.subject), ("organization", ANA.organization), ("credential", ANA.credential_id)],
)
async def test_who_is_removed_has_tokens_of_no_use_from_that_moment_on(
    op: Provided, kind: Any, name: str
) -> None:
    tokens, code, other = await op.tokens_of(), await op.code(), await op.tokens_of(BOB)
    assert await op.is_good(tokens["access_token"])
    await op.here.endings.remove(kind, name)
    assert not await op.is_good(tokens["access_token"])
    assert error_of(await op.refreshed(tokens["refresh_token"])) == "invalid_grant"
    assert error_of(await op.redeemed(code)) == "invalid_grant"
    assert await op.is_good(other["access_token"])


# -- refresh tokens -----------------------------------------------------------------------------------------


async def test_a_refresh_token_is_good_once_and_has_a_successor(op: Provided) -> None:
    tokens = await op.tokens_of()
    first = (await op.refreshed(tokens["refresh_token"])).json()
    second = (await op.refreshed(first["refresh_token"])).json()
    assert await op.is_good(second["access_token"])
    assert len({one["refresh_token"] for one in (tokens, first, second)}) == 3


async def test_a_refresh_token_that_is_used_again_ends_the_family(op: Provided) -> None:
    stolen = await op.tokens_of()
    renewed = (await op.refreshed(stolen["refresh_token"])).json()
    other = await op.tokens_of()
    assert error_of(await op.refreshed(stolen["refresh_token"])) == "invalid_grant"
    assert error_of(await op.refreshed(renewed["refresh_token"])) == "invalid_grant"
    assert not await op.is_good(stolen["access_token"])
    assert not await op.is_good(renewed["access_token"])
    assert await op.is_good(other["access_token"])


LISTED = msgspec.structs.replace(
    ANA,
    credential_status=HeldStatus(ISSUER, (StatusReference("token", LIST_URI, 7),)),
)


@pytest.mark.parametrize("value", [1, 2], ids=["revoked", "suspended"])
async def test_a_credential_that_was_revoked_meanwhile_refreshes_nothing_and_ends_the_family(
    op: Provided, value: int
) -> None:
    op.web.pages[LIST_URI] = token_list({}, bits=2, changes={"ttl": 60})
    tokens = await op.tokens_of(LISTED)
    renewed = (await op.refreshed(tokens["refresh_token"])).json()
    op.web.pages[LIST_URI] = token_list({7: value}, bits=2)
    assert (await op.refreshed(renewed["refresh_token"])).status == 200, "the list is good for a minute"
    await op.clock.advance(60)
    latest = await op.tokens_of(LISTED)
    assert error_of(await op.refreshed(latest["refresh_token"])) == "invalid_grant"
    assert not await op.is_good(latest["access_token"])
    op.web.pages[LIST_URI] = token_list({}, bits=2)
    await op.clock.advance(3600)
    assert error_of(await op.refreshed(latest["refresh_token"])) == "invalid_grant"


async def test_while_the_status_cannot_be_told_nothing_is_refreshed_and_nothing_used_up(op: Provided) -> None:
    tokens = await op.tokens_of(LISTED)
    for page in (None, "no list", token_list({}, changes={"exp": op.now_s - 301})):
        op.web.pages.pop(LIST_URI, None)
        if page is not None:
            op.web.pages[LIST_URI] = page
        answer = await op.refreshed(tokens["refresh_token"])
        assert (answer.status, answer.json()["error"]) == (503, "temporarily_unavailable")
        await op.clock.advance(16)
    op.web.pages[LIST_URI] = token_list()
    assert (await op.refreshed(tokens["refresh_token"])).status == 200


async def test_a_refresh_token_that_was_used_before_makes_nobody_fetch_a_status(op: Provided) -> None:
    op.web.pages[LIST_URI] = token_list()
    stolen = (await op.tokens_of(LISTED))["refresh_token"]
    await op.refreshed(stolen)
    before = len(op.web.requests)
    await op.clock.advance(4000)
    assert error_of(await op.refreshed(stolen)) == "invalid_grant"
    assert len(op.web.requests) == before


async def test_a_refresh_token_opens_fewer_scopes_but_never_more(op: Provided) -> None:
    tokens = await op.tokens_of(scope="openid write")
    fewer = (await op.refreshed(tokens["refresh_token"], scope="openid")).json()
    assert fewer["scope"] == "openid"
    answer = await op.refreshed(fewer["refresh_token"], scope="openid write operate")
    assert error_of(answer) == "invalid_scope"


async def test_a_refresh_token_is_of_its_client_alone(tmp_path: Path) -> None:
    op = Provided(tmp_path, PUBLIC, msgspec.structs.replace(PUBLIC, client_id="other"))
    tokens = await op.tokens_of()
    answer = await op.refreshed(tokens["refresh_token"], client_id="other")
    assert error_of(answer) == "invalid_grant"
    assert (await op.refreshed(tokens["refresh_token"])).status == 200


async def test_a_refresh_token_ends(op: Provided) -> None:
    tokens = await op.tokens_of()
    await op.clock.advance(op.limits.refresh_token_lifetime_s)
    assert error_of(await op.refreshed(tokens["refresh_token"])) == "invalid_grant"


@pytest.mark.parametrize("text", ["", "x", "é", "A" * 22 + "." + "B" * 43, "A" * 9000])
async def test_what_is_no_refresh_token_is_none(op: Provided, text: str) -> None:
    assert error_of(await op.refreshed(text)) == "invalid_grant"


async def test_the_oldest_family_of_a_person_gives_way(tmp_path: Path) -> None:
    op = Provided(tmp_path, token_families_per_subject_max=2)
    every = []
    for _ in range(3):
        every.append((await op.tokens_of())["refresh_token"])
        await op.clock.advance(1)
    assert [(await op.refreshed(one)).status for one in every] == [400, 200, 200]


async def test_the_store_has_no_token_that_anybody_could_use(op: Provided) -> None:
    tokens = await op.tokens_of()
    rows = await op.here.store.sql.fetch("SELECT * FROM token_family")
    content = " ".join(str(value) for row in rows for value in row)
    assert rows
    assert not any(part in content for part in tokens["refresh_token"].split("."))
