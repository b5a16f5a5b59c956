"""Access tokens at the APIs: who calls, with what rights, and that nothing of it is written anywhere."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
import pytest
import structlog
from authlib.oauth2.client import OAuth2Client
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.access import OPERATOR, PROVIDER, READER, Caller
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.request_id import current_request
from hansa.identity import issue_token
from hansa.identity.principal import Principal, caller_of
from hansa.identity.provider.rates import Rates
from hansa.identity.provider.scopes import SCOPES, limited_caller, read_scope
from tests.support.logins import ANA, DID, OFFERING, seeded
from tests.support.provider import (
    BACK,
    OTHER_KEY,
    PORTAL,
    TOKEN_KEY,
    VERIFIER,
    Provided,
    query_of,
)

CHIEF = msgspec.structs.replace(ANA, roles=frozenset({OPERATOR, PROVIDER}))


def bearer(token: str) -> dict[bytes, bytes]:
    return {b"authorization": f"Bearer {token}".encode()}


def refusal(op: Provided, headers: dict[bytes, bytes]) -> Refused:
    with pytest.raises(Refused) as caught:
        op.authenticate(headers)
    assert caught.value.code is Code.UNAUTHENTICATED
    return caught.value


async def test_a_token_is_the_caller_that_the_credential_makes(op: Provided) -> None:
    token = (await op.tokens_of(scope="openid write"))["access_token"]
    assert op.authenticate(bearer(token)) == caller_of(ANA)


@pytest.mark.parametrize(
    ("scope", "roles", "has_powers"),
    [
        ("openid", set(), False),
        ("read", {READER}, False),
        ("write", {PROVIDER}, True),
        ("learcredential", {PROVIDER}, True),
        ("operate", {OPERATOR}, True),
        ("write operate", {OPERATOR, PROVIDER}, True),
    ],
)
async def test_a_scope_opens_what_it_says(
    op: Provided, scope: str, roles: set[str], has_powers: bool
) -> None:
    token = (await op.tokens_of(CHIEF, scope=scope))["access_token"]
    caller = op.authenticate(bearer(token))
    assert caller.roles == roles
    assert bool(caller.powers) is has_powers
    assert (caller.organization is None) is (scope == "openid")


@given(
    st.sets(st.sampled_from(SCOPES)), st.sets(st.sampled_from([OPERATOR, PROVIDER, READER])), st.booleans()
)
def test_a_scope_never_adds_a_right(scopes: set[str], roles: set[str], has_powers: bool) -> None:
    powers = (OFFERING,) if has_powers else ()
    principal = Principal("s", "VATES-1", "employee", powers=powers, roles=frozenset(roles))
    limited, whole = limited_caller(principal, scopes), caller_of(principal)
    assert OPERATOR not in limited.roles or OPERATOR in whole.roles
    assert set(limited.powers) <= set(whole.powers)
    assert not limited.may_read or whole.may_read
    assert not limited.may_write or whole.may_write


@given(st.text(max_size=40))
def test_scopes_are_read_as_a_list_or_not_at_all(text: str) -> None:
    scopes = read_scope(text)
    assert scopes is None or set(scopes) <= set(text.split(" "))


async def test_tokens_of_the_operator_are_taken_beside_them(op: Provided) -> None:
    token = issue_token(TOKEN_KEY, DID, "anna", ["provider"], 60, op.clock, seeded())
    assert op.authenticate(bearer(token)) == Caller(subject="anna", roles=frozenset({"provider"}))
    await op.here.endings.remove("subject", "anna")
    assert "removed" in refusal(op, bearer(token)).message


async def test_a_token_that_has_ended_is_refused(op: Provided) -> None:
    token = (await op.tokens_of())["access_token"]
    await op.clock.advance(900 + 299)
    assert op.authenticate(bearer(token)).subject == ANA.subject
    await op.clock.advance(1)
    assert "expired" in refusal(op, bearer(token)).message


@pytest.mark.parametrize(
    "authorization", [b"Bearer", b"Bearer ", b"Basic YTpi", b"Bearer x", b"DPoP x", b"Bearer " + b"A" * 9000]
)
def test_what_is_no_token_is_refused(op: Provided, authorization: bytes) -> None:
    assert refusal(op, {b"authorization": authorization}).message


# -- bound tokens ------------------------------------------------------------------------------------------

OFFERINGS = "/tmf-api/productCatalogManagement/v4/productOffering"


def call(op: Provided, token: str, method: str = "POST", path: str = OFFERINGS, **options: Any) -> Caller:
    """The caller of a request with a bound token."""
    proof = options.pop("proof", None) or op.proof(method, path, token, nonce=None, **options)
    headers = {b"authorization": f"DPoP {token}".encode(), b"dpop": proof.encode()}
    reset = current_request.set({"method": method, "path": path, "headers": []})
    try:
        first = op.authenticate(headers)
        assert op.authenticate(headers) == first, "a request may ask twice who calls"
        return first
    finally:
        current_request.reset(reset)


async def bound_token(op: Provided) -> str:
    form = {
        "grant_type": "authorization_code",
        "code": await op.code(scope="write"),
        "redirect_uri": BACK,
        "client_id": PORTAL,
        "code_verifier": VERIFIER,
    }
    token: str = (await op.token(form, dpop=op.proof())).json()["access_token"]
    return token


async def test_a_bound_token_comes_with_a_proof_for_this_request(op: Provided) -> None:
    assert call(op, await bound_token(op)).subject == ANA.subject


@pytest.mark.parametrize(
    "options",
    [
        {"htm": "GET"},
        {"htu": "https://market.example/other"},
        {"htu": f"https://evil.example{OFFERINGS}"},
        {"ath": None},
        {"ath": "A" * 43},
        {"key": OTHER_KEY},
        {"iat": 1_000_000_000},
        {"nonce": "x"},
    ],
)
async def test_a_proof_for_anything_else_is_refused(op: Provided, options: dict[str, Any]) -> None:
    token = await bound_token(op)
    htm, proof_options = options.pop("htm", "POST"), dict(options)
    if "nonce" in proof_options:
        proof = op.proof("POST", OFFERINGS, token, **proof_options)
    else:
        proof = op.proof(htm, OFFERINGS, token, **{"nonce": None} | proof_options)
    with pytest.raises(Refused) as caught:
        call(op, token, proof=proof)
    assert caught.value.code is Code.UNAUTHENTICATED


async def test_a_proof_is_for_one_request(op: Provided) -> None:
    token = await bound_token(op)
    proof = op.proof("POST", OFFERINGS, token, nonce=None)
    assert call(op, token, proof=proof).subject == ANA.subject
    with pytest.raises(Refused):
        call(op, token, proof=proof)


async def test_a_query_does_not_matter_to_a_proof(op: Provided) -> None:
    token = await bound_token(op)
    assert call(op, token, "GET", htu=f"https://market.example{OFFERINGS}?limit=1").subject == ANA.subject


async def test_a_stolen_bound_token_is_worth_nothing(op: Provided) -> None:
    token = await bound_token(op)
    refusal(op, bearer(token))
    refusal(op, {b"authorization": f"DPoP {token}".encode()})


async def test_proofs_that_are_remembered_are_bounded_and_forgotten(op: Provided) -> None:
    token = await bound_token(op)
    op.proofs._per_key_max = 2
    call(op, token)
    with pytest.raises(Exception, match="Too many proofs"):
        call(op, token)
    await op.clock.advance(602)
    assert call(op, token).subject == ANA.subject


def test_rates_do_not_grow_with_addresses(op: Provided) -> None:
    rates = Rates(op.clock, op.limits)
    for number in range(66_000):
        with suppress(Unavailable):  # the last ones share a bucket
            rates.take_address(f"{number & 0xFFFF:x}:{number >> 16:x}::1")
    assert len(rates._of_addresses._levels) <= 65_537


# -- an independent client ---------------------------------------------------------------------------------


async def test_an_independent_client_logs_somebody_in(op: Provided) -> None:
    """Authlib's own client makes the requests; only the transport is ours."""
    client = OAuth2Client(
        None, PORTAL, token_endpoint_auth_method="none", redirect_uri=BACK, code_challenge_method="S256"
    )
    address, state = client.create_authorization_url(
        "https://market.example/oidc/authorize",
        code_verifier=VERIFIER,
        scope="openid write",
        nonce="n",
    )
    parts = urlsplit(address)
    answer = await op.client.get(f"{parts.path}?{parts.query}", headers=await op.browser())
    query = query_of(answer)
    assert query["state"] == state
    form = {
        "grant_type": "authorization_code",
        "code": query["code"],
        "redirect_uri": BACK,
        "client_id": PORTAL,
        "code_verifier": VERIFIER,
    }
    token = client.parse_response_token(_Answer(await op.token(dict(form))))
    assert token["token_type"] == "Bearer"
    assert (await op.userinfo(token["access_token"])).json()["sub"] == ANA.subject


class _Answer:
    """A response as Authlib reads one."""

    def __init__(self, answer: Any) -> None:
        self.status_code = answer.status
        self._content = answer.json()

    def json(self) -> Any:
        return self._content

    def raise_for_status(self) -> None:
        assert self.status_code == 200


# -- logs --------------------------------------------------------------------------------------------------


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """Whatever is logged, in whichever way."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    logging.getLogger().addHandler(handler)
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.DEBUG)
    before = structlog.get_config()
    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(file=text), cache_logger_on_first_use=False
    )
    yield text
    structlog.configure(**before)
    logging.getLogger().removeHandler(handler)
    logging.getLogger().setLevel(level)


async def test_no_log_has_a_token_a_code_or_a_name(op: Provided, written: io.StringIO) -> None:
    browser = await op.browser()
    answer = await op.authorize(browser)
    code = query_of(answer)["code"]
    tokens = (await op.redeemed(code)).json()
    await op.userinfo(tokens["access_token"])
    renewed = (await op.refreshed(tokens["refresh_token"])).json()
    await op.refreshed(tokens["refresh_token"])
    await op.redeemed(code)
    await op.post("/oidc/introspect", {"token": tokens["access_token"], **op.assertion()})
    await op.client.get(f"/oidc/logout?id_token_hint={tokens['id_token']}", headers=browser)
    op.clients_path.write_bytes(b"{")
    await op.clock.advance(2)
    await op.authorize(browser)
    text = written.getvalue()
    assert "clients_invalid" in text, "something is logged at all"
    secrets = [
        *(code, tokens["access_token"], tokens["id_token"], renewed["access_token"]),
        *(*tokens["refresh_token"].split("."), *renewed["refresh_token"].split(".")),
        *(browser["cookie"].partition("=")[2], ANA.name, ANA.email, ANA.subject),
    ]
    assert [one for one in secrets if one in text] == []


async def test_no_secret_is_in_an_address_but_a_code_at_the_client(op: Provided) -> None:
    browser = await op.browser()
    answers = [
        await op.authorize(),
        await op.authorize(browser, prompt="login"),
        await op.client.get(f"/oidc/logout?{urlencode({'client_id': PORTAL})}", headers=browser),
    ]
    session = browser["cookie"].partition("=")[2]
    for answer in answers:
        location = answer.headers.get("location", "")
        assert session not in location
        assert "code" not in dict(parse_qsl(urlsplit(location).query))
