"""Codes, refresh tokens and credentials become access tokens, for whom they are and once."""

from __future__ import annotations

import base64
import hmac
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hansa.core.errors import Refused
from hansa.identity.provider.clients.records import ClientRecord, check_client
from hansa.identity.provider.tokens.signing_keys import rotate_signing_keys
from tests.support.credentials import encoded, jwk, jwt, signed_jwt
from tests.support.logins import ANA, BOB, ENDPOINT
from tests.support.provider import (
    BACK,
    CLIENT_KEY,
    CONFIDENTIAL,
    OTHER_KEY,
    PORTAL,
    PROOF_KEY,
    PUBLIC,
    SHOP,
    VERIFIER,
    Provided,
    b64sha256,
    error_of,
    payload_of,
    query_of,
)


@pytest.fixture
def op(tmp_path: Path) -> Provided:
    return Provided(tmp_path)


async def is_good(op: Provided, access_token: str) -> bool:
    return (await op.userinfo(access_token)).status == 200


# -- codes -------------------------------------------------------------------------------------------------


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
    assert await is_good(op, tokens["access_token"])


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
    assert not await is_good(op, tokens["access_token"])
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
    assert await is_good(op, tokens["access_token"])
    await op.clock.advance(1)
    assert not await is_good(op, tokens["access_token"])


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
    assert await is_good(op, tokens["access_token"])
    await op.here.endings.remove(kind, name)
    assert not await is_good(op, tokens["access_token"])
    assert error_of(await op.refreshed(tokens["refresh_token"])) == "invalid_grant"
    assert error_of(await op.redeemed(code)) == "invalid_grant"
    assert await is_good(op, other["access_token"])


# -- refresh tokens ----------------------------------------------------------------------------------------


async def test_a_refresh_token_is_good_once_and_has_a_successor(op: Provided) -> None:
    tokens = await op.tokens_of()
    first = (await op.refreshed(tokens["refresh_token"])).json()
    second = (await op.refreshed(first["refresh_token"])).json()
    assert await is_good(op, second["access_token"])
    assert len({one["refresh_token"] for one in (tokens, first, second)}) == 3


async def test_a_refresh_token_that_is_used_again_ends_the_family(op: Provided) -> None:
    stolen = await op.tokens_of()
    renewed = (await op.refreshed(stolen["refresh_token"])).json()
    other = await op.tokens_of()
    assert error_of(await op.refreshed(stolen["refresh_token"])) == "invalid_grant"
    assert error_of(await op.refreshed(renewed["refresh_token"])) == "invalid_grant"
    assert not await is_good(op, stolen["access_token"])
    assert not await is_good(op, renewed["access_token"])
    assert await is_good(op, other["access_token"])


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


# -- clients -----------------------------------------------------------------------------------------------


async def redeemed_by_backend(op: Provided, shown: dict[str, str]) -> Any:
    code = await op.code(client_id="backend")
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": VERIFIER}
    return await op.token(form | shown)


async def test_a_confidential_client_signs(op: Provided) -> None:
    assert (await redeemed_by_backend(op, op.assertion())).status == 200
    assert error_of(await redeemed_by_backend(op, {"client_id": "backend"})) == "invalid_client"


async def test_there_are_no_shared_secrets(op: Provided) -> None:
    assert (
        error_of(await redeemed_by_backend(op, {"client_id": "backend", "client_secret": "x"}))
        == "invalid_client"
    )
    answer = await op.token({"grant_type": "client_credentials"}, authorization="Basic YmFja2VuZDp4")
    assert error_of(answer) == "invalid_client"


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
    ids=str,
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


# -- proofs of possession ----------------------------------------------------------------------------------


async def bound_tokens(op: Provided, **changes: Any) -> Any:
    return await op.token(
        {
            "grant_type": "authorization_code",
            "code": await op.code(),
            "redirect_uri": BACK,
            "client_id": PORTAL,
            "code_verifier": VERIFIER,
        },
        dpop=op.proof(**changes),
    )


async def test_tokens_are_bound_to_the_key_of_a_proof(op: Provided) -> None:
    answer = await bound_tokens(op)
    tokens = answer.json()
    assert tokens["token_type"] == "DPoP"
    thumbprint = b64sha256(json.dumps(dict(sorted(jwk(PROOF_KEY).items())), separators=(",", ":")))
    assert payload_of(tokens["access_token"])["cnf"] == {"jkt": thumbprint}


async def test_a_proof_needs_the_nonce_that_is_handed_out(op: Provided) -> None:
    answer = await bound_tokens(op, nonce=None)
    assert error_of(answer) == "use_dpop_nonce"
    assert (await bound_tokens(op, nonce=answer.headers["dpop-nonce"])).status == 200
    assert error_of(await bound_tokens(op, nonce="x")) == "use_dpop_nonce"
    old = op.proofs.nonce()
    await op.clock.advance(301)
    assert error_of(await bound_tokens(op, nonce=old)) == "use_dpop_nonce"


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "GET"},
        {"htu": f"{ENDPOINT}/oidc/par"},
        {"htu": "https://other.example/oidc/token"},
        {"htu": None},
        {"iat": 1_000_000_000},
        {"iat": 4_000_000_000},
        {"iat": MS},
        {"iat": None},
        {"jti": None},
        {"jti": "j" * 257},
        {"typ": "JWT"},
        {"alg": "none"},
        {"alg": "HS256"},
        {"jwk": None},
        {"jwk": {"kty": "oct", "k": "AAAA"}},
        {"jwk": {**jwk(OTHER_KEY)}},
        {"jwk": {**jwk(PROOF_KEY), "d": "AAAA"}},
        {"crit": ["x"]},
    ],
    ids=str,
)
async def test_a_proof_that_does_not_hold_proves_nothing(op: Provided, changes: dict[str, Any]) -> None:
    assert error_of(await bound_tokens(op, **changes)) == "invalid_dpop_proof"


async def test_a_proof_is_good_once(op: Provided) -> None:
    assert (await bound_tokens(op, jti="same")).status == 200
    assert error_of(await bound_tokens(op, jti="same")) == "invalid_dpop_proof"
    assert (await bound_tokens(op, jti="same", key=OTHER_KEY)).status == 200


async def test_a_refresh_token_of_a_public_client_is_bound_too(op: Provided) -> None:
    tokens = (await bound_tokens(op)).json()
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": PORTAL}
    assert error_of(await op.token(form)) == "invalid_grant"
    assert error_of(await op.token(form, dpop=op.proof(key=OTHER_KEY))) == "invalid_grant"
    assert (await op.token(form, dpop=op.proof())).status == 200


async def test_a_code_can_be_bound_to_a_key_when_it_is_asked_for(op: Provided) -> None:
    thumbprint = b64sha256(json.dumps(dict(sorted(jwk(PROOF_KEY).items())), separators=(",", ":")))
    form = {
        "grant_type": "authorization_code",
        "redirect_uri": BACK,
        "client_id": PORTAL,
        "code_verifier": VERIFIER,
    }
    code = await op.code(dpop_jkt=thumbprint)
    assert (
        error_of(await op.token(form | {"code": code}, dpop=op.proof(key=OTHER_KEY))) == "invalid_dpop_proof"
    )
    assert (
        error_of(await op.token(form | {"code": await op.code(dpop_jkt=thumbprint)})) == "invalid_dpop_proof"
    )
    code = await op.code(dpop_jkt=thumbprint)
    assert (await op.token(form | {"code": code}, dpop=op.proof())).status == 200


async def test_a_client_that_has_to_prove_its_key_has_to(tmp_path: Path) -> None:
    op = Provided(tmp_path, msgspec.structs.replace(PUBLIC, dpop_bound_access_tokens=True))
    assert error_of(await op.redeemed(await op.code())) == "invalid_dpop_proof"
    assert (await bound_tokens(op)).status == 200


async def test_a_bound_token_comes_with_its_proof_and_never_without(op: Provided) -> None:
    token = (await bound_tokens(op)).json()["access_token"]
    assert (await op.userinfo(token)).status == 401
    assert (await op.userinfo(token, authorization=f"DPoP {token}")).status == 401
    plain = (await op.tokens_of())["access_token"]
    assert (await op.userinfo(plain, authorization=f"DPoP {plain}")).status == 401


# -- floods ------------------------------------------------------------------------------------------------


async def test_a_flood_from_one_address_is_answered_with_when_to_come_again(tmp_path: Path) -> None:
    op = Provided(tmp_path, login_requests_per_address_per_s=1.0)
    answers = [await op.token({"grant_type": "x", "client_id": "nobody"}) for _ in range(12)]
    assert [one.status for one in answers] == [401] * 10 + [429] * 2
    assert int(answers[-1].headers["retry-after"]) >= 1
    await op.clock.advance(1)
    assert (await op.token({"client_id": "nobody"})).status == 401


async def test_a_flood_of_one_client_leaves_others_alone(tmp_path: Path) -> None:
    other = msgspec.structs.replace(CONFIDENTIAL, client_id="other")
    op = Provided(
        tmp_path,
        CONFIDENTIAL,
        other,
        token_requests_per_client_per_s=1.0,
        login_requests_per_address_per_s=1e6,
    )
    form = {"grant_type": "client_credentials", "scope": "read"}
    statuses = [(await op.token(form | op.assertion())).status for _ in range(12)]
    assert statuses == [200] * 10 + [429] * 2
    assert (await op.token(form | op.assertion("other"))).status == 200


async def test_a_stranger_who_says_to_be_a_client_takes_nothing_from_it(tmp_path: Path) -> None:
    op = Provided(tmp_path, token_requests_per_client_per_s=1.0, login_requests_per_address_per_s=1e6)
    stolen = [
        await op.token({"grant_type": "refresh_token"} | op.assertion(key=OTHER_KEY)) for _ in range(20)
    ]
    assert {one.status for one in stolen} == {401}
    form = {"grant_type": "client_credentials", "scope": "read"}
    assert (await op.token(form | op.assertion())).status == 200


# -- the keys ----------------------------------------------------------------------------------------------


async def test_nobody_makes_a_token_of_his_own(op: Provided) -> None:
    good = (await op.tokens_of())["access_token"]
    header, payload, signature = good.split(".")
    kid = op.keys.public()[0]["kid"]
    claims = payload_of(good)
    forged = [
        f"{encoded({'alg': 'none', 'typ': 'at+jwt', 'kid': kid})}.{payload}.",
        jwt(OTHER_KEY, claims, typ="at+jwt", kid=kid),
        jwt(OTHER_KEY, claims, typ="at+jwt", kid=kid, jwk=jwk(OTHER_KEY)),
        f"{header}.{encoded(claims | {'sub': 'did:key:zBob'})}.{signature}",
        signed_jwt(OTHER_KEY, header, payload),
        good + "A",
        "A" * 9000,
    ]
    assert [await is_good(op, token) for token in forged] == [False] * len(forged)
    assert await is_good(op, good)


async def test_an_id_token_is_no_access_token(op: Provided) -> None:
    assert not await is_good(op, (await op.tokens_of())["id_token"])


async def test_a_token_of_another_marketplace_is_worth_nothing_here(op: Provided, tmp_path: Path) -> None:
    """Even with the same keys: its issuer and its audience are others."""
    other = Provided(tmp_path / "other", clock=op.clock, issuer="https://other.example")
    token = (await other.tokens_of())["access_token"]
    answer = await op.userinfo(token)
    assert (answer.status, answer.json()["error"]) == (401, "invalid_token")


async def test_the_issuer_in_an_answer_tells_whose_it_is(op: Provided, tmp_path: Path) -> None:
    other = Provided(tmp_path / "other", clock=op.clock, issuer="https://other.example")
    issuers = {query_of(await one.authorize(await one.browser()))["iss"] for one in (op, other)}
    assert issuers == {ENDPOINT, "https://other.example"}


async def test_keys_are_rotated_without_a_token_losing_its_worth(op: Provided) -> None:
    before = await op.tokens_of()
    added = rotate_signing_keys(op.keys_path, op.now_s)
    assert rotate_signing_keys(op.keys_path, op.now_s) == added
    await op.clock.advance(2)
    published = {one["kid"] for one in (await op.client.get("/oidc/jwks")).json()["keys"]}
    assert published > set(added)
    assert _kid((await op.tokens_of())["access_token"]) not in added
    await op.clock.advance(600)
    after = await op.tokens_of()
    assert _kid(after["access_token"]) in added
    assert await is_good(op, before["access_token"])
    await op.clock.advance(86_400)
    published = {one["kid"] for one in (await op.client.get("/oidc/jwks")).json()["keys"]}
    assert published == set(added)


async def test_the_key_set_has_nothing_private(op: Provided) -> None:
    keys = (await op.client.get("/oidc/jwks")).json()["keys"]
    assert {one["alg"] for one in keys} == {"ES256", "RS256"}
    assert not any({"d", "p", "q", "dp", "dq", "qi", "k"} & one.keys() for one in keys)
    assert op.keys_path.stat().st_mode & 0o077 == 0 or op.keys_path.stat().st_size > 0


def _kid(token: str) -> str:
    part = token.split(".", maxsplit=1)[0]
    kid: str = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))["kid"]
    return kid
