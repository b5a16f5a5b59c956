"""Nobody makes a token of his own, and keys are rotated."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from hansa.core.base64url import from_base64url, to_base64url
from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Fatal
from hansa.identity.provider.tokens.signing_keys import SigningKeys, rotate_signing_keys
from tests.support.credentials import encoded, jwk, jwt, signed_jwt
from tests.support.logins import ENDPOINT
from tests.support.provider import (
    OTHER_KEY,
    Provided,
    payload_of,
    query_of,
)
from tests.support.provider_keys import provider_key_file


def _kid(token: str) -> str:
    part = token.split(".", maxsplit=1)[0]
    kid: str = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))["kid"]
    return kid


# -- the keys -----------------------------------------------------------------------------------------------


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
    assert [await op.is_good(token) for token in forged] == [False] * len(forged)
    assert await op.is_good(good)


async def test_an_id_token_is_no_access_token(op: Provided) -> None:
    assert not await op.is_good((await op.tokens_of())["id_token"])


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
    assert await op.is_good(before["access_token"])
    await op.clock.advance(86_400)
    published = {one["kid"] for one in (await op.client.get("/oidc/jwks")).json()["keys"]}
    assert published == set(added)


async def test_the_key_set_has_nothing_private(op: Provided) -> None:
    keys = (await op.client.get("/oidc/jwks")).json()["keys"]
    assert {one["alg"] for one in keys} == {"ES256", "RS256"}
    assert not any({"d", "p", "q", "dp", "dq", "qi", "k"} & one.keys() for one in keys)
    assert op.keys_path.stat().st_mode & 0o077 == 0 or op.keys_path.stat().st_size > 0


@pytest.mark.parametrize("name", ["n", "e", "d", "p", "q", "dp", "dq", "qi"])
def test_an_rsa_key_whose_numbers_do_not_belong_together_is_none(tmp_path: Path, name: str) -> None:
    path = tmp_path / "provider.json"
    held = json.loads(provider_key_file())
    jwk_of_rsa = next(one["jwk"] for one in held["keys"] if one["alg"] == "RS256")
    number = int.from_bytes(from_base64url(jwk_of_rsa[name])) + 2
    jwk_of_rsa[name] = to_base64url(number.to_bytes((number.bit_length() + 7) // 8))
    path.write_text(json.dumps(held))
    with pytest.raises(Fatal) as refused:
        SigningKeys(path, ManualClock())
    assert refused.value.code is Code.SETTINGS_INVALID
