"""Clients with a secret: what bounds the exception, and what is tried against it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from hansa.core.errors import Refused
from hansa.identity.provider.clients.records import ClientRecord, ClientSecret, check_client
from hansa.identity.provider.clients.registry import write_clients
from hansa.identity.provider.clients.secrets import (
    client_secret_digest,
    new_client_secret,
    with_rotated_secret,
)
from tests.support.logins import seeded
from tests.support.provider import (
    BACK,
    CHALLENGE,
    CONFIDENTIAL,
    PUBLIC,
    VERIFIER,
    Provided,
    error_of,
    query_of,
)
from tests.support.suite_client import OTHER_SECRET, SECRET, SuiteClient, basic, secret_client


@pytest.fixture
def op(tmp_path: Path) -> Provided:
    clients = (
        secret_client("old"),
        secret_client("post", "client_secret_post"),
        secret_client("other", secrets=(OTHER_SECRET,)),
        secret_client("strict", require_pkce=True),
    )
    return Provided(tmp_path, *clients, PUBLIC, CONFIDENTIAL)


async def introspected(op: Provided, form: dict[str, str], **headers: str) -> Any:
    return await op.post("/oidc/introspect", {"token": "x"} | form, **headers)


# -- one way for each client ------------------------------------------------------------------------------------


async def test_a_secret_proves_who_a_client_is_at_every_endpoint(op: Provided) -> None:
    client = SuiteClient(op, "post", "client_secret_post")
    tokens = await client.tokens()
    report = await client.post("/oidc/introspect", {"token": tokens["access_token"]})
    assert report.json()["active"] is True
    assert (await client.post("/oidc/revoke", {"token": tokens["refresh_token"]})).status == 200
    assert error_of(await client.refresh(tokens["refresh_token"])) == "invalid_grant"


async def test_a_pushed_request_has_no_secret_in_it(op: Provided) -> None:
    client = SuiteClient(op, "post", "client_secret_post")
    pushed = await client.post("/oidc/par", client.request())
    assert pushed.status == 201
    assert SECRET not in repr(op.provider.pushed._pushed)
    await client.log_in()
    target = f"/oidc/authorize?client_id=post&request_uri={pushed.json()['request_uri']}"
    assert "code" in query_of(await op.client.get(target, headers=client.browser))


async def test_a_secret_that_is_shown_in_another_way_than_registered_is_none(op: Provided) -> None:
    form = {"client_id": "old", "client_secret": SECRET}
    assert error_of(await introspected(op, form)) == "invalid_client"
    assert error_of(await introspected(op, {}, authorization=basic("post", SECRET))) == "invalid_client"


async def test_a_client_that_signs_has_no_secret_and_one_with_a_secret_signs_nothing(op: Provided) -> None:
    for client_id in ("backend", "portal", "nobody", "did:key:z6Mk"):
        form = {"client_id": client_id, "client_secret": SECRET}
        assert error_of(await introspected(op, form)) == "invalid_client"
        answer = await introspected(op, {}, authorization=basic(client_id, SECRET))
        assert error_of(answer) == "invalid_client"
    assert error_of(await introspected(op, op.assertion("old"))) == "invalid_client"


async def test_a_client_with_a_secret_is_not_taken_without_it(op: Provided) -> None:
    for shown in ({"client_id": "old"}, {"client_id": "old", "client_secret": ""}):
        assert error_of(await introspected(op, shown)) == "invalid_client"
    code = await SuiteClient(op, "old").code()
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "client_id": "old"}
    assert error_of(await op.token({**form, "code_verifier": VERIFIER})) == "invalid_client"


async def test_the_secret_of_one_client_is_none_of_another(op: Provided) -> None:
    assert error_of(await introspected(op, {}, authorization=basic("old", OTHER_SECRET))) == "invalid_client"
    assert error_of(await introspected(op, {}, authorization=basic("other", SECRET))) == "invalid_client"
    crossed = await introspected(op, {"client_id": "other"}, authorization=basic("old", SECRET))
    assert error_of(crossed) == "invalid_request"


async def test_the_code_of_one_client_is_none_of_another(op: Provided) -> None:
    code = await SuiteClient(op, "old").code()
    thief = SuiteClient(op, "other", secret=OTHER_SECRET)
    assert error_of(await thief.redeem(code)) == "invalid_grant"
    assert (await SuiteClient(op, "old").redeem(code)).status == 200


@pytest.mark.parametrize("more", ["secret", "assertion"])
async def test_two_ways_at_once_are_none(op: Provided, more: str) -> None:
    form = {"client_id": "old", "client_secret": SECRET} if more == "secret" else op.assertion("old")
    answer = await introspected(op, form, authorization=basic("old", SECRET))
    assert error_of(answer) == "invalid_request"
    both = op.assertion() | {"client_id": "backend", "client_secret": SECRET}
    assert error_of(await introspected(op, both)) == "invalid_request"


def percent(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


async def test_basic_credentials_may_be_percent_encoded(op: Provided) -> None:
    for encoded in (basic(percent("old"), percent(SECRET)), basic("old", SECRET).replace("Basic", "bAsIc  ")):
        assert (await introspected(op, {}, authorization=encoded)).json() == {"active": False}


@pytest.mark.parametrize(
    "header",
    [
        "Basic",
        "Basic ",
        "Basic !!!",
        f"Bearer {SECRET}",
        f"DPoP {SECRET}",
        "Basic " + base64.b64encode(b"old").decode(),
        "Basic " + base64.b64encode(b"old:").decode(),
        "Basic " + base64.b64encode(f":{SECRET}".encode()).decode(),
        "Basic " + base64.b64encode(b"old:\xff\xfe").decode(),
        "Basic " + base64.b64encode(b"old:%ff").decode(),
        "Basic " + base64.b64encode(f"old:{SECRET}\0".encode()).decode(),
        "Basic " + base64.b64encode(f"old:{SECRET}:".encode()).decode(),
        "Basic " + base64.b64encode(f"old : {SECRET}".encode()).decode(),
        "Basic " + base64.b64encode(f"OLD:{SECRET}".encode()).decode(),
        "Basic " + base64.b64encode(b"old:" + b"A" * 4000).decode(),
        basic("old", SECRET).rstrip("=") + "=\u00e9",
        basic("old", SECRET[:-1]),
        basic("old", client_secret_digest("old", SECRET)),
    ],
)
async def test_what_is_no_basic_header_of_the_client_is_answered_with_a_challenge(
    op: Provided, header: str
) -> None:
    answer = await introspected(op, {}, authorization=header)
    assert (answer.status, answer.json()["error"]) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic realm=")


async def test_no_browser_is_made_to_ask_for_a_password(op: Provided) -> None:
    answer = await introspected(op, {"client_id": "old", "client_secret": "x"})
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")


async def test_a_refusal_does_not_tell_whether_there_is_such_a_client(op: Provided) -> None:
    answers = [
        await introspected(op, {}, authorization=basic(client_id, "x"))
        for client_id in ("old", "post", "backend", "portal", "nobody")
    ]
    assert len({answer.body for answer in answers}) == 1


# -- guesses ----------------------------------------------------------------------------------------------------


async def guess(op: Provided, client_id: str, secret: str, address: str) -> int:
    form = {"token": "x", "client_id": client_id, "client_secret": secret}
    answer = await op.post_from(address, "/oidc/introspect", form)
    return answer.status


async def test_whoever_guesses_is_not_answered_any_more_and_the_client_is(op: Provided) -> None:
    answers = [await guess(op, "post", f"guess{n}", "192.0.2.1") for n in range(12)]
    assert answers == [401] * 10 + [429] * 2
    assert await guess(op, "post", SECRET, "192.0.2.1") == 429
    assert await guess(op, "post", SECRET, "192.0.2.2") == 200
    await op.clock.advance(10)
    assert await guess(op, "post", SECRET, "192.0.2.1") == 200


async def test_whoever_guesses_names_of_clients_too_is_not_answered_either(op: Provided) -> None:
    answers = [await guess(op, f"client{n}", "x", "192.0.2.1") for n in range(12)]
    assert answers[-1] == 429


async def test_addresses_of_one_network_guess_together(op: Provided) -> None:
    answers = [await guess(op, "post", "x", f"2001:db8::{n:x}") for n in range(12)]
    assert answers[-1] == 429


async def test_the_log_names_the_client_and_no_secret(op: Provided) -> None:
    with capture_logs() as logs:
        await guess(op, "post", SECRET[::-1], "192.0.2.1")
        await guess(op, "post", SECRET, "192.0.2.1")
        await guess(op, "nobody", SECRET, "192.0.2.1")
        await introspected(op, {}, authorization=basic("old", SECRET))
        await introspected(op, {}, authorization=basic("old", SECRET[::-1]))
    assert [one["client"] for one in logs if one["event"] == "client_secret_refused"] == ["post", "old"]
    written = json.dumps(logs)
    assert SECRET not in written
    assert SECRET[::-1] not in written


# -- no secret in addresses -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["client_secret", "client_assertion"])
async def test_a_browser_that_brings_a_secret_is_sent_nowhere(op: Provided, name: str) -> None:
    client = SuiteClient(op, "old")
    by_get = await client.authorize(**{name: SECRET})
    by_post = await op.post("/oidc/authorize", client.request(**{name: SECRET}))
    for answer in (by_get, by_post):
        assert (answer.status, "location" in answer.headers) == (400, False)
        assert SECRET.encode() not in answer.body


async def test_a_secret_in_the_query_of_an_endpoint_is_not_looked_at(op: Provided) -> None:
    target = f"/oidc/introspect?client_id=post&client_secret={SECRET}"
    assert error_of(await op.post(target, {"token": "x"})) == "invalid_client"


# -- PKCE -------------------------------------------------------------------------------------------------------


async def test_only_a_client_that_was_registered_to_does_without_pkce(op: Provided) -> None:
    for client_id in ("strict", "portal", "backend"):
        assert (await SuiteClient(op, client_id).returned())["error"] == "invalid_request"
    for half in ({"code_challenge": CHALLENGE}, {"code_challenge_method": "S256"}):
        assert (await SuiteClient(op, "old").returned(**half))["error"] == "invalid_request"
    plain = {"code_challenge": CHALLENGE, "code_challenge_method": "plain"}
    assert (await SuiteClient(op, "old").returned(**plain))["error"] == "invalid_request"


async def test_a_challenge_counts_whoever_may_do_without(op: Provided) -> None:
    client = SuiteClient(op, "old")
    for verifier in ("", "x", VERIFIER[::-1]):
        code = await client.code(code_challenge=CHALLENGE, code_challenge_method="S256")
        assert error_of(await client.redeem(code, code_verifier=verifier)) == "invalid_grant"


async def test_a_verifier_without_a_challenge_is_a_downgrade(op: Provided) -> None:
    """Somebody took the challenge out of the request (RFC 9700, section 2.1.1)."""
    client = SuiteClient(op, "old")
    assert error_of(await client.redeem(await client.code(), code_verifier=VERIFIER)) == "invalid_grant"


# -- registration, rotation ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"jwks": CONFIDENTIAL.jwks},
        {"jwks_uri": "https://shop.example/jwks"},
        {"client_id": "a:b"},
        {"client_id": "a+b"},
        {"client_id": "a%b"},
        {"grant_types": ("authorization_code", "client_credentials")},
        {"grant_types": ("urn:ietf:params:oauth:grant-type:token-exchange",)},
        {"client_secrets": ()},
        {"client_secrets": (ClientSecret("plain secret"),)},
        {"client_secrets": (ClientSecret("A" * 43, 1),)},
        {"client_secrets": (ClientSecret("A" * 43), ClientSecret("B" * 43))},
        {"client_secrets": (*(ClientSecret("A" * 43, 1),) * 2, ClientSecret("B" * 43))},
        {"token_endpoint_auth_method": None},
    ],
)
def test_a_client_with_a_secret_that_could_do_more_cannot_be_registered(changes: dict[str, Any]) -> None:
    check_client(secret_client("old"))
    with pytest.raises(Refused):
        check_client(msgspec.structs.replace(secret_client("old"), **changes))


def test_a_public_client_cannot_do_without_pkce() -> None:
    check_client(msgspec.structs.replace(CONFIDENTIAL, require_pkce=False))
    with pytest.raises(Refused, match="PKCE"):
        check_client(msgspec.structs.replace(PUBLIC, require_pkce=False))


def test_a_secret_has_256_bits_and_its_digest_is_of_use_to_one_client_alone() -> None:
    secret, kept = new_client_secret("old", seeded(1))
    assert len(base64.urlsafe_b64decode(secret + "=")) == 32
    assert secret not in repr(kept)
    assert kept.digest != client_secret_digest("other", secret)
    assert client_secret_digest("ab", "c") != client_secret_digest("a", "bc")


async def test_a_rotated_secret_is_good_for_the_overlap_and_no_longer(op: Provided) -> None:
    client = secret_client("old")
    secret, kept = new_client_secret("old", seeded(1))
    rotated = with_rotated_secret(client, kept, op.now_s, 3600)
    await replace(op, rotated)
    for good in (SECRET, secret):
        assert (await introspected(op, {}, authorization=basic("old", good))).status == 200
    await op.clock.advance(3600)
    assert error_of(await introspected(op, {}, authorization=basic("old", SECRET))) == "invalid_client"
    assert (await introspected(op, {}, authorization=basic("old", secret))).status == 200


async def test_a_secret_that_leaked_is_good_no_more(op: Provided) -> None:
    secret, kept = new_client_secret("old", seeded(1))
    again, kept_again = new_client_secret("old", seeded(2))
    rotated = with_rotated_secret(secret_client("old"), kept, op.now_s, 3600)
    await replace(op, with_rotated_secret(rotated, kept_again, op.now_s, 0))
    for gone in (SECRET, secret):
        assert error_of(await introspected(op, {}, authorization=basic("old", gone))) == "invalid_client"
    assert (await introspected(op, {}, authorization=basic("old", again))).status == 200


async def replace(op: Provided, client: ClientRecord) -> None:
    write_clients(op.clients_path, [client])
    await op.clock.advance(2)
