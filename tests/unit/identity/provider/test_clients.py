"""Confidential clients sign; keys come from where they are registered."""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any

import pytest

from hansa.core.errors import Refused
from hansa.identity.provider.clients.records import ClientRecord, check_client
from tests.support.credentials import encoded, jwk
from tests.support.logins import ENDPOINT
from tests.support.provider import (
    BACK,
    CLIENT_KEY,
    OTHER_KEY,
    PORTAL,
    SHOP,
    VERIFIER,
    Provided,
    error_of,
    payload_of,
)

# -- clients ------------------------------------------------------------------------------------------------


async def redeemed_by_backend(op: Provided, shown: dict[str, str]) -> Any:
    code = await op.code(client_id="backend")
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": VERIFIER}
    return await op.token(form | shown)


async def test_a_confidential_client_signs(op: Provided) -> None:
    assert (await redeemed_by_backend(op, op.assertion())).status == 200
    assert error_of(await redeemed_by_backend(op, {"client_id": "backend"})) == "invalid_client"


MS = 1_796_040_000_000


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://other.example"},
        {"aud": [ENDPOINT, "https://other.example"]},
        {"aud": None},
        {"iss": "portal"},
        {"sub": "portal"},
        {"exp": MS},
        {"exp": 1_796_040_000_000_000},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": 1_000_000_000},
        {"iat": 4_000_000_000},
        {"nbf": 4_000_000_000},
        {"jti": None},
        {"jti": "j" * 257},
        {"jti": 7},
        {"key": OTHER_KEY},
        {"kid": "2"},
        {"kid": None, "key": OTHER_KEY},
        {"typ": "at+jwt"},
        {"crit": ["b64"]},
        {"crit": ["exp"], "alg": "ES256"},
        {"alg": "none"},
        {"alg": "HS256"},
        {"vp_token": 7},
    ],
)
async def test_an_assertion_that_does_not_hold_proves_nothing(op: Provided, changes: dict[str, Any]) -> None:
    assert error_of(await redeemed_by_backend(op, op.assertion(**changes))) == "invalid_client"


async def test_a_public_key_is_no_secret(op: Provided) -> None:
    """`HS256` over the client's public key, as a library would take it that believes the header."""
    header = encoded({"alg": "HS256", "kid": "1"})
    payload = encoded(payload_of(op.assertion()["client_assertion"]))
    secret = json.dumps(jwk(CLIENT_KEY)).encode()
    digest = hmac.new(secret, f"{header}.{payload}".encode(), "sha256").digest()
    forged = f"{header}.{payload}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"
    shown = op.assertion() | {"client_assertion": forged}
    assert error_of(await redeemed_by_backend(op, shown)) == "invalid_client"


async def test_an_assertion_is_good_once(op: Provided) -> None:
    shown = op.assertion()
    assert (await redeemed_by_backend(op, shown)).status == 200
    assert error_of(await redeemed_by_backend(op, shown)) == "invalid_client"


async def test_clocks_of_clients_may_be_five_minutes_off(op: Provided) -> None:
    early, late = op.now_s - 299, op.now_s + 299
    assert (await redeemed_by_backend(op, op.assertion(iat=early - 60, exp=early))).status == 200
    assert (await redeemed_by_backend(op, op.assertion(iat=late, exp=late + 60))).status == 200
    assert error_of(await redeemed_by_backend(op, op.assertion(exp=op.now_s - 300))) == "invalid_client"
    assert error_of(await redeemed_by_backend(op, op.assertion(iat=op.now_s + 301))) == "invalid_client"


@pytest.mark.parametrize("assertion", ["", "x", "a.b.c", "A" * 140_000, "é.é.é"])
async def test_what_is_no_assertion_is_none(op: Provided, assertion: str) -> None:
    shown = op.assertion() | {"client_assertion": assertion, "client_id": "backend"}
    assert error_of(await redeemed_by_backend(op, shown)) == "invalid_client"


async def test_keys_at_an_address_are_fetched_from_there_and_not_too_often(op: Provided) -> None:
    op.web.pages[SHOP] = json.dumps({"keys": [jwk(CLIENT_KEY) | {"kid": "1"}]})
    form: dict[str, str | None] = {}
    for _ in range(3):
        code = await op.code(client_id="shop")
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": BACK,
            "code_verifier": VERIFIER,
        }
        assert (await op.token(form | op.assertion("shop"))).status == 200
        assert error_of(await op.token(form | op.assertion("shop", kid="2"))) == "invalid_client"
    assert op.web.requests == [SHOP]
    await op.clock.advance(60)
    assert error_of(await op.token(form | op.assertion("shop", kid="2"))) == "invalid_client"
    assert op.web.requests == [SHOP, SHOP]


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"keys": []}', '{"keys": [{"kty": "oct", "k": "AA"}]}'])
async def test_keys_that_cannot_be_used_are_none(op: Provided, content: str) -> None:
    op.web.pages[SHOP] = content
    assert (
        error_of(await op.token({"grant_type": "authorization_code"} | op.assertion("shop")))
        == "invalid_client"
    )


async def test_nothing_that_a_client_says_has_us_fetch_anything(op: Provided) -> None:
    did = "did:web:10.0.0.1"
    for client_id in (did, "https://10.0.0.1/jwks"):
        shown = op.assertion(client_id, vp_token="a.b.c", jku="https://10.0.0.1/jwks")
        assert error_of(await op.token({"grant_type": "client_credentials"} | shown)) == "invalid_client"
    assert op.web.requests == []


async def test_only_origins_of_registered_clients_are_asked_for_keys(op: Provided) -> None:
    assert await op.registry.has_key_origin("https://shop.example:443")
    assert not await op.registry.has_key_origin("https://shop.example:8443")
    assert not await op.registry.has_key_origin("https://10.0.0.1:443")


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "password", "client_id": PORTAL}, "unsupported_grant_type"),
        ({"client_id": PORTAL}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials", "client_id": PORTAL}, "unauthorized_client"),
        ({"grant_type": "authorization_code", "client_id": PORTAL}, "invalid_request"),
        ({"grant_type": "authorization_code"}, "invalid_client"),
        ({"grant_type": "authorization_code", "client_id": "nobody"}, "invalid_client"),
        ({"grant_type": "refresh_token", "client_id": PORTAL, "scope": 'a"'}, "invalid_scope"),
        ({"grant_type": "refresh_token", "client_id": PORTAL, "resource": "https://x"}, "invalid_target"),
    ],
)
async def test_requests_that_are_wrong_say_what_is(
    op: Provided, form: dict[str, str | None], error: str
) -> None:
    assert error_of(await op.token(form)) == error


async def test_a_form_is_a_form(op: Provided) -> None:
    answer = await op.client.post("/oidc/token", {"grant_type": "client_credentials"})
    assert answer.status == 415
    many = {f"p{number}": "x" for number in range(65)}
    assert error_of(await op.token(many)) == "invalid_request"
    large = {"client_id": PORTAL, "code": "x" * 200_000}
    assert (await op.token(large)).status == 413


async def test_a_client_in_its_own_name_has_the_roles_that_it_was_registered_with(op: Provided) -> None:
    form = {"grant_type": "client_credentials", "scope": "read"}
    tokens = (await op.token(form | op.assertion())).json()
    assert "refresh_token" not in tokens
    claims = payload_of(tokens["access_token"])
    assert (claims["sub"], claims["organization"], claims["roles"]) == ("backend", "", ["reader"])
    caller = op.authenticate({b"authorization": f"Bearer {tokens['access_token']}".encode()})
    assert caller.roles == {"reader"}
    assert caller.organization is None


def test_a_client_with_roles_and_without_keys_cannot_be_registered() -> None:
    with pytest.raises(Refused):
        check_client(ClientRecord("x", grant_types=("client_credentials",), roles=("operator",)))
