"""What tokens are worth, what ends them, and what is published about the OpenID Provider."""

from __future__ import annotations

from typing import Any

import pytest
from authlib.oauth2.rfc9207.discovery import AuthorizationServerMetadata as IssMetadata
from authlib.oidc.discovery import OpenIDProviderMetadata
from authlib.oidc.rpinitiated.discovery import OpenIDProviderMetadata as LogoutMetadata
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.support.logins import ANA, BOB, ENDPOINT
from tests.support.provider import (
    AFTER_LOGOUT,
    OTHER_KEY,
    PORTAL,
    Provided,
    error_of,
    payload_of,
    query_of,
)


async def introspected(op: Provided, token: str, **shown: Any) -> Any:
    answer = await op.post("/oidc/introspect", {"token": token, **(shown or op.assertion())})
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


async def test_an_independent_library_takes_the_metadata(op: Provided) -> None:
    answer = await op.client.get("/.well-known/openid-configuration")
    metadata = OpenIDProviderMetadata(answer.json())
    metadata.validate(metadata_classes=[IssMetadata, LogoutMetadata])
    assert metadata["issuer"] == ENDPOINT
    assert metadata["code_challenge_methods_supported"] == ["S256"]


async def test_an_independent_library_verifies_the_id_token(op: Provided) -> None:
    keys = KeySet.import_key_set((await op.client.get("/oidc/jwks")).json())
    token = jwt.decode((await op.tokens_of())["id_token"], keys, algorithms=["RS256"])
    assert token.header["alg"] == "RS256"
    assert token.claims["sub"] == ANA.subject


async def test_a_confidential_client_learns_what_a_token_is_worth(op: Provided) -> None:
    token = (await op.tokens_of())["access_token"]
    report = await introspected(op, token)
    assert (report["active"], report["token_type"], report["sub"]) == (True, "Bearer", ANA.subject)
    assert report["organization"] == ANA.organization
    await op.clock.advance(1200)
    assert await introspected(op, token) == {"active": False}


async def test_nobody_else_learns_it(op: Provided) -> None:
    form = {"token": (await op.tokens_of())["access_token"]}
    assert error_of(await op.post("/oidc/introspect", form)) == "invalid_client"
    assert error_of(await op.post("/oidc/introspect", form | {"client_id": PORTAL})) == "unauthorized_client"
    stolen = op.assertion(key=OTHER_KEY)
    assert error_of(await op.post("/oidc/introspect", form | stolen)) == "invalid_client"


@pytest.mark.parametrize("token", ["x", "a.b.c", "A" * 9000])
async def test_what_is_no_token_is_worth_nothing(op: Provided, token: str) -> None:
    assert await introspected(op, token) == {"active": False}


async def test_a_refresh_token_is_the_business_of_its_client_alone(op: Provided) -> None:
    refresh_token = (await op.tokens_of())["refresh_token"]
    assert await introspected(op, refresh_token) == {"active": False}


async def test_an_access_token_that_is_revoked_is_worth_nothing(op: Provided) -> None:
    tokens, other = await op.tokens_of(), await op.tokens_of()
    answer = await op.post("/oidc/revoke", {"token": tokens["access_token"], "client_id": PORTAL})
    assert (answer.status, answer.body) == (200, b"")
    assert (await op.userinfo(tokens["access_token"])).status == 401
    assert (await op.userinfo(other["access_token"])).status == 200
    assert (await op.refreshed(tokens["refresh_token"])).status == 200


async def test_a_refresh_token_that_is_revoked_ends_its_family(op: Provided) -> None:
    tokens = await op.tokens_of()
    await op.post("/oidc/revoke", {"token": tokens["refresh_token"], "client_id": PORTAL})
    assert error_of(await op.refreshed(tokens["refresh_token"])) == "invalid_grant"
    assert (await op.userinfo(tokens["access_token"])).status == 401


async def test_nobody_revokes_the_tokens_of_another_client(op: Provided) -> None:
    tokens = await op.tokens_of()
    for token in (tokens["access_token"], tokens["refresh_token"], "x"):
        assert (await op.post("/oidc/revoke", {"token": token, **op.assertion()})).status == 200
    assert (await op.userinfo(tokens["access_token"])).status == 200
    assert (await op.refreshed(tokens["refresh_token"])).status == 200


async def test_what_is_revoked_stays_so_after_a_restart(op: Provided) -> None:
    tokens = await op.tokens_of()
    await op.post("/oidc/revoke", {"token": tokens["access_token"], "client_id": PORTAL})
    later = (await op.here.restarted()).endings
    assert later.is_ended(payload_of(tokens["access_token"])["jti"])


# -- logout ------------------------------------------------------------------------------------------------


async def test_a_person_is_logged_out_by_the_id_token(op: Provided) -> None:
    hint = (await op.tokens_of())["id_token"]
    await op.clock.advance(3000)  # it has expired, and says who it is all the same
    browser = await op.browser()
    target = f"/oidc/logout?id_token_hint={hint}&post_logout_redirect_uri={AFTER_LOGOUT}&state=s"
    answer = await op.client.get(target, headers=browser)
    assert answer.headers["location"] == f"{AFTER_LOGOUT}?state=s"
    assert answer.headers["set-cookie"].endswith("Max-Age=0")
    assert op.here.subject(browser["cookie"].encode()) is None


async def test_a_page_that_sends_a_browser_here_logs_nobody_out(op: Provided) -> None:
    browser = await op.browser()
    answer = await op.client.get("/oidc/logout", headers=browser)
    assert (answer.status, answer.json()["title"]) == (200, "Log out")
    hint = (await op.tokens_of(BOB))["id_token"]
    await op.client.get(f"/oidc/logout?id_token_hint={hint}", headers=browser)
    await op.post("/oidc/logout", {"client_id": PORTAL}, **browser)
    refused = await op.post("/oidc/logout", {"csrf": "x"}, **browser)
    assert refused.status == 403
    assert op.here.subject(browser["cookie"].encode()) == ANA.subject


async def test_a_person_who_confirms_it_is_logged_out(op: Provided) -> None:
    browser = await op.browser()
    target = f"/oidc/logout?client_id={PORTAL}&post_logout_redirect_uri={AFTER_LOGOUT}"
    fields = (await op.client.get(target, headers=browser)).json()["fields"]
    answer = await op.post("/oidc/logout", fields, **browser)
    assert answer.headers["location"] == AFTER_LOGOUT
    assert op.here.subject(browser["cookie"].encode()) is None


@pytest.mark.parametrize("client_id", ["", PORTAL, "backend", "nobody"])
@pytest.mark.parametrize("address", ["https://evil.example/", f"{AFTER_LOGOUT}/../x", "//evil.example"])
async def test_after_logout_nobody_is_sent_where_it_is_not_registered(
    op: Provided, client_id: str, address: str
) -> None:
    target = f"/oidc/logout?client_id={client_id}&post_logout_redirect_uri={address}"
    answer = await op.client.get(target, headers=await op.browser())
    assert answer.status == 400
    assert "location" not in answer.headers


@pytest.mark.parametrize("hint", ["x", "a.b.c"])
async def test_what_is_no_id_token_is_refused(op: Provided, hint: str) -> None:
    assert (await op.client.get(f"/oidc/logout?id_token_hint={hint}")).status == 400


async def test_an_access_token_is_no_id_token(op: Provided) -> None:
    hint = (await op.tokens_of())["access_token"]
    assert (await op.client.get(f"/oidc/logout?id_token_hint={hint}")).status == 400


async def test_tokens_of_a_client_outlast_the_session(op: Provided) -> None:
    browser = await op.browser()
    code = query_of(await op.authorize(browser))["code"]
    tokens = (await op.redeemed(code)).json()
    await op.here.sessions.end({b"cookie": browser["cookie"].encode()})
    assert (await op.refreshed(tokens["refresh_token"])).status == 200
