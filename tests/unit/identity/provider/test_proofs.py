"""Tokens are bound to keys; floods are answered with when to come again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.credentials import jwk
from tests.support.logins import ENDPOINT
from tests.support.provider import (
    BACK,
    CONFIDENTIAL,
    OTHER_KEY,
    PORTAL,
    PROOF_KEY,
    PUBLIC,
    VERIFIER,
    Provided,
    b64sha256,
    error_of,
    payload_of,
)

MS = 1_796_040_000_000


# -- proofs of possession -----------------------------------------------------------------------------------


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


# -- floods -------------------------------------------------------------------------------------------------


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
