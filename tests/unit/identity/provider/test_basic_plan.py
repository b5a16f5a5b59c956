"""The modules of the plans "Basic OP" and "Config OP" of the OpenID conformance suite, played one by one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.logins import ANA, BOB, ENDPOINT
from tests.support.provider import BACK, CHALLENGE, VERIFIER, Provided, error_of, query_of
from tests.support.suite_client import SuiteClient, secret_client

PERSON = msgspec.structs.replace(ANA, given_name="Ana", family_name="Prueba")
SCOPES = ("openid", "profile", "email", "offline_access")


@pytest.fixture
def op(tmp_path: Path) -> Provided:
    clients = (
        secret_client("suite", scopes=SCOPES),
        secret_client("suite2", scopes=SCOPES),
        secret_client("suite-post", "client_secret_post", scopes=SCOPES),
    )
    return Provided(tmp_path, *clients)


@pytest.fixture
async def suite(op: Provided) -> SuiteClient:
    client = SuiteClient(op)
    await client.log_in(PERSON)
    return client


async def test_server_gives_tokens_that_hold(suite: SuiteClient) -> None:
    tokens = await suite.tokens()
    assert tokens["expires_in"] > 0
    claims = await suite.check_id_token(tokens)
    assert "name" not in claims
    assert (await suite.userinfo(tokens)) == {"sub": claims["sub"]}


async def test_server_client_secret_post_gives_tokens_that_hold(op: Provided) -> None:
    client = SuiteClient(op, "suite-post", "client_secret_post")
    await client.check_id_token(await client.tokens())


async def test_response_type_missing_is_told_to_the_client(suite: SuiteClient) -> None:
    returned = await suite.returned(response_type=None)
    assert returned["error"] == "unsupported_response_type"
    assert set(returned) == {"error", "error_description", "state", "iss"}


async def test_userinfo_get_and_post_by_header_and_by_body(suite: SuiteClient) -> None:
    tokens = await suite.tokens()
    told = await suite.userinfo(tokens)
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    by_header = await suite.op.client.request("POST", "/oidc/userinfo", headers=bearer)
    by_body = await suite.op.post("/oidc/userinfo", {"access_token": tokens["access_token"]})
    assert by_header.json() == by_body.json() == told
    empty_form = await suite.op.post("/oidc/userinfo", {}, **bearer)
    assert empty_form.json() == told


async def test_ensure_request_without_nonce_succeeds_for_code_flow(suite: SuiteClient) -> None:
    await suite.check_id_token(await suite.tokens(nonce=None), nonce=None)


async def test_scope_profile_tells_the_names(suite: SuiteClient) -> None:
    tokens = await suite.tokens(scope="openid profile")
    told = await suite.userinfo(tokens)
    assert (told["name"], told["given_name"], told["family_name"]) == ("Ana Prueba", "Ana", "Prueba")
    assert told["sub"] == (await suite.check_id_token(tokens))["sub"]


@pytest.mark.parametrize("scope", ["openid email", "email openid"])
async def test_scope_email_in_either_order(suite: SuiteClient, scope: str) -> None:
    told = await suite.userinfo(await suite.tokens(scope=scope))
    assert (told["email"], told["email_verified"]) == (ANA.email, False)


async def test_scopes_address_and_phone_are_not_among_those_that_there_are(suite: SuiteClient) -> None:
    metadata = (await suite.op.client.get("/.well-known/openid-configuration")).json()
    assert {"address", "phone"}.isdisjoint(metadata["scopes_supported"])
    told = await suite.userinfo(await suite.tokens(scope="openid profile email address phone"))
    assert {"address", "phone_number"}.isdisjoint(told)


@pytest.mark.parametrize(
    "parameters",
    [
        {"display": "page"},
        {"display": "popup"},
        {"extra": "foobar"},
        {"extra[0]": "foobar"},
        {"login_hint": "buffy@lubeck.example"},
        {"ui_locales": "se"},
        {"claims_locales": "se"},
        {"prompt": "consent"},
    ],
)
async def test_a_parameter_that_changes_nothing_is_no_error(op: Provided, parameters: dict[str, str]) -> None:
    """display-page, display-popup, unknown parameters, login-hint, ui-locales, claims-locales."""
    client = SuiteClient(op)
    await client.check_id_token(await client.tokens(**parameters))


async def test_ui_locales_are_the_language_of_the_login(op: Provided) -> None:
    answer = await SuiteClient(op).authorize(ui_locales="fr-CA de")
    assert query_of(answer)["lang"] == "fr"
    for no_language in ("<script>", "x" * 40, "f-r"):
        assert "lang" not in query_of(await SuiteClient(op).authorize(ui_locales=no_language))


async def test_prompt_login_and_max_age_have_the_person_log_in_again(suite: SuiteClient) -> None:
    for parameters in ({"prompt": "login"}, {"max_age": "1"}):
        first = await suite.check_id_token(await suite.tokens())
        await suite.op.clock.advance(2)
        second = await suite.check_id_token(await suite.tokens(**parameters))
        assert second["auth_time"] == first["auth_time"] + 2
        assert second["sub"] == first["sub"]


async def test_prompt_none_when_nobody_is_logged_in(op: Provided) -> None:
    returned = await SuiteClient(op).returned(prompt="none")
    assert returned["error"] == "login_required"


@pytest.mark.parametrize("parameters", [{"prompt": "none"}, {"max_age": "10000"}])
async def test_whoever_is_logged_in_is_not_asked_again(
    suite: SuiteClient, parameters: dict[str, str]
) -> None:
    first = await suite.check_id_token(await suite.tokens(max_age="15000"))
    await suite.op.clock.advance(5)
    assert (await suite.authorize(**parameters)).headers["location"].startswith(BACK)
    second = await suite.check_id_token(await suite.tokens(**parameters))
    assert (second["auth_time"], second["sub"]) == (first["auth_time"], first["sub"])


async def test_id_token_hint_of_whoever_is_logged_in_asks_nobody(suite: SuiteClient) -> None:
    hint = (await suite.tokens())["id_token"]
    await suite.op.clock.advance(1200)
    assert "code" in await suite.returned(prompt="none", id_token_hint=hint)


async def test_an_id_token_hint_of_somebody_else_is_a_login(suite: SuiteClient) -> None:
    hint = (await suite.tokens())["id_token"]
    await suite.log_in(BOB)
    assert (await suite.returned(prompt="none", id_token_hint=hint))["error"] == "login_required"
    answer = await suite.authorize(id_token_hint=hint)
    back = query_of(answer)["return_to"]
    assert "code" in query_of(await suite.op.client.get(back, headers=await suite.op.browser(PERSON)))
    again = await suite.op.client.get(back, headers=await suite.op.browser(BOB))
    assert query_of(again)["error"] == "login_required"


async def test_an_id_token_of_another_client_is_no_hint(suite: SuiteClient) -> None:
    hint = (await SuiteClient(suite.op, "suite2").tokens())["id_token"]
    for no_hint in (hint, "x", hint[:-4] + "AAAA", (await suite.tokens())["access_token"]):
        assert (await suite.returned(prompt="none", id_token_hint=no_hint))["error"] == "invalid_request"


async def test_ensure_request_with_acr_values_succeeds(suite: SuiteClient) -> None:
    metadata = (await suite.op.client.get("/.well-known/openid-configuration")).json()
    values = metadata["acr_values_supported"]
    claims = await suite.check_id_token(await suite.tokens(acr_values=" ".join(values)))
    assert claims["acr"] in values
    assert "code" in await suite.returned(acr_values="1 2")


@pytest.mark.parametrize("wait_s", [0, 30])
async def test_codereuse_is_refused_and_ends_the_tokens(suite: SuiteClient, wait_s: int) -> None:
    code = await suite.code()
    tokens = (await suite.redeem(code)).json()
    await suite.op.clock.advance(wait_s)
    again = await suite.redeem(code)
    assert (again.status, again.json()["error"]) == (400, "invalid_grant")
    assert again.headers["content-type"] == "application/json"
    assert not await suite.op.is_good(tokens["access_token"])
    assert error_of(await suite.refresh(tokens["refresh_token"])) == "invalid_grant"


async def test_ensure_registered_redirect_uri_shows_a_page(suite: SuiteClient) -> None:
    answer = await suite.authorize(redirect_uri=f"{BACK}/BADREDIRECT")
    assert (answer.status, "location" in answer.headers) == (400, False)
    assert "redirect_uri" in " ".join(answer.json()["sentences"])


async def test_ensure_post_request_succeeds(suite: SuiteClient) -> None:
    """The form comes without cookies, as from another site; what it leads to comes with them."""
    answer = await suite.op.post("/oidc/authorize", suite.request(extra="ö&="))
    assert answer.status == 303
    location = answer.headers["location"]
    assert location.startswith("/oidc/authorize?")
    returned = query_of(await suite.op.client.get(location, headers=suite.browser))
    assert (await suite.redeem(returned["code"])).status == 200


async def test_request_uri_unsigned_is_not_supported(suite: SuiteClient) -> None:
    returned = await suite.returned(request_uri="https://suite.example/request.jwt")
    assert returned["error"] == "request_uri_not_supported"
    nowhere = await suite.authorize(request_uri="https://suite.example/x", redirect_uri="https://x.example")
    assert (nowhere.status, "location" in nowhere.headers) == (400, False)


async def test_unsigned_request_object_is_not_supported(suite: SuiteClient) -> None:
    returned = await suite.returned(request="eyJhbGciOiJub25lIn0.e30.")
    assert returned["error"] == "request_not_supported"


async def test_ensure_request_object_with_redirect_uri_shows_a_page(suite: SuiteClient) -> None:
    answer = await suite.authorize(request="eyJhbGciOiJub25lIn0.e30.", redirect_uri=f"{BACK}/bad")
    assert (answer.status, "location" in answer.headers) == (400, False)


async def test_claims_essential_are_told_where_they_were_asked_for(suite: SuiteClient) -> None:
    claims = json.dumps({"userinfo": {"name": {"essential": True}}})
    tokens = await suite.tokens(claims=claims)
    assert (await suite.userinfo(tokens))["name"] == PERSON.name
    assert "name" not in await suite.check_id_token(tokens)


async def test_refresh_token_works_for_its_client_alone(suite: SuiteClient) -> None:
    scope = "openid offline_access"
    tokens = await suite.tokens(scope=scope, prompt="consent")
    first = await suite.check_id_token(tokens)
    await suite.op.clock.advance(1)
    answer = await suite.refresh(tokens["refresh_token"], scope=scope)
    assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
    refreshed = answer.json()
    second = await suite.check_id_token(refreshed, nonce=None)
    same = ("iss", "sub", "aud", "auth_time")
    assert [first[name] for name in same] == [second[name] for name in same]
    assert second["iat"] > first["iat"]
    assert await suite.op.is_good(refreshed["access_token"])
    other = SuiteClient(suite.op, "suite2")
    foreign = (await other.tokens(scope=scope, nonce="n" * 43))["refresh_token"]
    refused = await suite.refresh(foreign, scope=scope)
    assert (refused.status, refused.json()["error"]) == (400, "invalid_grant")
    assert (await other.refresh(foreign)).status == 200


async def test_ensure_request_with_valid_pkce_succeeds(suite: SuiteClient) -> None:
    code = await suite.code(code_challenge=CHALLENGE, code_challenge_method="S256")
    assert (await suite.redeem(code, code_verifier=VERIFIER)).status == 200


async def test_discovery_endpoint_verification_finds_what_it_needs(op: Provided) -> None:
    answer = await op.client.get("/.well-known/openid-configuration")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    metadata = answer.json()
    assert metadata["issuer"] == ENDPOINT
    assert "code" in metadata["response_types_supported"]
    assert metadata["subject_types_supported"] == ["public"]
    assert "RS256" in metadata["id_token_signing_alg_values_supported"]
    assert {"client_secret_basic", "client_secret_post"} < {
        *metadata["token_endpoint_auth_methods_supported"]
    }
    assert "openid" in metadata["scopes_supported"]
    assert metadata["claims_parameter_supported"] is True
    assert not any(value == [] for value in metadata.values())
    endpoints = [name for name in metadata if name.endswith(("_endpoint", "_uri"))]
    assert all(metadata[name].startswith("https://") for name in endpoints)
    keys = (await op.client.get("/oidc/jwks")).json()["keys"]
    assert len({key["kid"] for key in keys}) == len(keys)
    assert all({"d", "p", "q", "k"}.isdisjoint(key) for key in keys)


# -- what the suite does not try of the same parameters ------------------------------------------------------


@pytest.mark.parametrize(
    "claims",
    [
        "x",
        "[]",
        '{"userinfo": []}',
        '{"id_token": {"sub": "x"}}',
        '{"id_token": {"sub": {"value": 7}}}',
        '{"id_token": {"sub": {"value": "a"}}, "userinfo": {"sub": {"value": "b"}}}',
        '{"userinfo": ' * 9 + "{}" + "}" * 9,
        json.dumps({"userinfo": {"x" * 8192: None}}),
    ],
)
async def test_claims_that_cannot_be_read_are_refused(suite: SuiteClient, claims: str) -> None:
    assert (await suite.returned(claims=claims))["error"] == "invalid_request"


async def test_claims_open_nothing_whose_scope_is_not_registered(op: Provided) -> None:
    client = SuiteClient(op)
    named: dict[str, Any] = dict.fromkeys(("powers", "organization", "email", "roles", "sub"))
    tokens = await client.tokens(claims=json.dumps({"userinfo": named, "id_token": named}))
    for told in (await client.userinfo(tokens), await client.check_id_token(tokens)):
        assert (told["organization"], told["email"]) == (ANA.organization, ANA.email)
        assert {"powers", "roles"}.isdisjoint(told)


async def test_claims_demand_who_logs_in_and_how(suite: SuiteClient) -> None:
    demanded = json.dumps({"id_token": {"sub": {"value": BOB.subject}}})
    assert (await suite.returned(prompt="none", claims=demanded))["error"] == "login_required"
    strong = json.dumps({"id_token": {"acr": {"essential": True, "values": ["urn:example:blood"]}}})
    assert (await suite.returned(claims=strong))["error"] == "unmet_authentication_requirements"
    weak = json.dumps({"id_token": {"acr": {"values": ["urn:example:blood"]}}})
    assert "code" in await suite.returned(claims=weak)


async def test_what_claims_opened_stays_open_after_a_refresh(suite: SuiteClient) -> None:
    tokens = await suite.tokens(claims=json.dumps({"userinfo": {"name": None}}))
    refreshed = (await suite.refresh(tokens["refresh_token"])).json()
    assert (await suite.userinfo(refreshed))["name"] == PERSON.name


async def test_an_access_token_comes_once(suite: SuiteClient) -> None:
    token = (await suite.tokens())["access_token"]
    bearer = {"authorization": f"Bearer {token}"}
    twice = await suite.op.post("/oidc/userinfo", {"access_token": token}, **bearer)
    assert (twice.status, twice.json()["error"]) == (400, "invalid_request")
    in_query = await suite.op.client.get(f"/oidc/userinfo?access_token={token}")
    assert in_query.status == 401
    assert (await suite.op.post("/oidc/userinfo", {"access_token": "x"})).status == 401
