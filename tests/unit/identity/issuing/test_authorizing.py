"""Codes that a person approves: who may, for which wallet, and every way to get at those of others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec
import pytest

from hansa.api.issuing import APPROVE, DECLINE
from hansa.core.access import OPERATOR
from hansa.core.errors import HansaError
from hansa.core.http import HttpRequest
from hansa.identity.principal import Principal
from tests.support.asgi import Response
from tests.support.certificates import new_key
from tests.support.issuing import EMPLOYEE_SD, ENDPOINT, MACHINE
from tests.support.logins import ANA, BOB
from tests.support.wallet_scene import WalletScene

OPERATING = msgspec.structs.replace(BOB, organization="VATES-77777777", roles=frozenset({OPERATOR}))
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"


@pytest.fixture
def scene(tmp_path: Path) -> WalletScene:
    return WalletScene(tmp_path)


async def pushed(scene: WalletScene, **changes: str) -> Response:
    """The answer to a wallet that pushes a request; a field that is empty is left out."""
    offer = await scene.issuing.offer()
    fields = {
        "response_type": "code",
        "client_id": "wallet",
        "redirect_uri": "https://wallet.example/back",
        "state": "s",
        "issuer_state": offer.reference,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    } | changes
    present = {name: value for name, value in fields.items() if value}
    return await scene.browser.post_form("/oid4vci/par", present)


async def token(scene: WalletScene, code: str, **changes: str) -> Response:
    fields = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": "wallet",
        "redirect_uri": "https://wallet.example/back",
        "code_verifier": VERIFIER,
    } | changes
    present = {name: value for name, value in fields.items() if value}
    return await scene.browser.post_form("/oid4vci/token", present)


def address_of(answer: Response) -> str:
    query = urlencode({"client_id": "wallet", "request_uri": answer.json()["request_uri"]})
    return f"/oid4vci/authorize?{query}"


async def code_of(scene: WalletScene, principal: Principal = ANA) -> str:
    approved = await scene.approve(address_of(await pushed(scene)), principal)
    assert approved.status == 303, approved.body
    return parse_qs(urlsplit(approved.headers["location"]).query)["code"][0]


@pytest.mark.parametrize("principal", [ANA, OPERATING], ids=["the person", "an operator"])
async def test_a_wallet_gets_the_credential_that_somebody_approved_who_may(
    scene: WalletScene, principal: Principal
) -> None:
    acceptance, pending = await scene.begin_approval()
    approved = await scene.approve(pending.address, principal)
    location = approved.headers["location"]
    assert location.startswith("http://127.0.0.1/wallet?code=")
    held = await acceptance.finish(pending, location)
    assert [one.format for one in held] == ["dc+sd-jwt", "jwt_vc_json"]
    assert (await scene.log_in()).name == "Ana María Prueba"


async def test_the_page_says_what_is_issued_to_whom_and_where_it_goes(scene: WalletScene) -> None:
    cookie = {"cookie": (await scene.logins.login(ANA)).decode()}
    page = (await scene.browser.get(address_of(await pushed(scene)), headers=cookie)).json()
    text = " ".join(page["sentences"])
    assert "Ana María Prueba for GoodAir (VATES-12345678)" in text
    assert "Onboarding: Execute" in text
    assert "It goes to https://wallet.example." in text
    assert page["form_targets"] == ["https://wallet.example"]


async def test_who_is_not_logged_in_is_sent_to_the_login_and_back(scene: WalletScene) -> None:
    address = address_of(await pushed(scene))
    answer = await scene.browser.get(address)
    assert answer.status == 303
    assert answer.headers["location"] == f"/login?{urlencode({'return_to': address})}"


NOT_ALLOWED = {
    "of another organisation": msgspec.structs.replace(ANA, organization="VATES-99999999"),
    "with another address": msgspec.structs.replace(ANA, email="eve@goodair.example"),
    "without an address": msgspec.structs.replace(ANA, email=""),
    "a machine": msgspec.structs.replace(ANA, kind="machine"),
    "a provider": BOB,
}


@pytest.mark.parametrize("who", NOT_ALLOWED)
async def test_nobody_else_approves(scene: WalletScene, who: str) -> None:
    address = address_of(await pushed(scene))
    cookie = {"cookie": (await scene.logins.login(NOT_ALLOWED[who])).decode()}
    page = await scene.browser.get(address, headers=cookie)
    assert (page.status, page.json()["is_approvable"]) == (403, False)
    session = scene.logins.sessions.of({b"cookie": cookie["cookie"].encode()})
    assert session is not None
    fields = dict(urlsplit_query(address)) | {"csrf": scene.logins.sessions.form_token(session)}
    fields["decision"] = APPROVE
    answer = await scene.browser.post_form("/oid4vci/authorize", fields, cookie)
    assert answer.status == 403


def urlsplit_query(address: str) -> list[tuple[str, str]]:
    return [(name, values[0]) for name, values in parse_qs(urlsplit(address).query).items()]


async def test_an_offer_for_a_machine_is_approved_by_operators_alone(scene: WalletScene) -> None:
    offer = await scene.issuing.offer(MACHINE)
    _, pending = await scene.begin_approval(offer)
    cookie = {"cookie": (await scene.logins.login(ANA)).decode()}
    assert (await scene.browser.get(pending.address.removeprefix(ENDPOINT), headers=cookie)).status == 403
    assert (await scene.approve(pending.address, OPERATING)).status == 303


async def test_a_page_of_somebody_else_approves_nothing(scene: WalletScene) -> None:
    answer = await scene.approve(address_of(await pushed(scene)), ANA, csrf="forged")
    assert answer.status == 403


BAD_REQUESTS: dict[str, dict[str, str]] = {
    "without PKCE": {"code_challenge": "", "code_challenge_method": ""},
    "with plain PKCE": {"code_challenge_method": "plain"},
    "with a challenge that is none": {"code_challenge": "short"},
    "for a token": {"response_type": "token"},
    "with an object": {"request": "a.b.c"},
    "with another request": {"request_uri": "https://evil.example/request"},
    "without a client": {"client_id": ""},
    "without an offer": {"issuer_state": ""},
    "for an offer that is none": {"issuer_state": "guess"},
    "for a credential that was not offered": {"scope": "credential:learcredential.machine.sd.1"},
    "with a scope that is none": {"scope": EMPLOYEE_SD},
    "with details that are none": {"authorization_details": "{}"},
    "with details of another kind": {"authorization_details": '[{"type":"payment"}]'},
    "with a key that is none": {"dpop_jkt": "short"},
    "to a script": {"redirect_uri": "javascript:alert(1)"},
    "to a page in the clear": {"redirect_uri": "http://wallet.example/back"},
    "to an address with a fragment": {"redirect_uri": "https://wallet.example/back#x"},
    "to an address with a wildcard": {"redirect_uri": "https://*.example/back"},
    "to an address with a name in it": {"redirect_uri": "https://market.example@evil.example/"},
    "to an address with a line break": {"redirect_uri": "https://wallet.example/\nX: y"},
    "to nowhere": {"redirect_uri": ""},
    "to a path": {"redirect_uri": "/back"},
    "to what ends a directive": {"redirect_uri": "https://a.example;require-trusted-types-for/back"},
    "to what ends a policy": {"redirect_uri": "https://a.example,b.example/back"},
}


@pytest.mark.parametrize("what", BAD_REQUESTS)
async def test_a_request_that_does_not_hold_is_refused(scene: WalletScene, what: str) -> None:
    answer = await pushed(scene, **BAD_REQUESTS[what])
    assert (answer.status, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": "haip-vci://back"},
        {"redirect_uri": "http://127.0.0.1:4711/back"},
        {"scope": f"credential:{EMPLOYEE_SD}"},
        {
            "authorization_details": '[{"type":"openid_credential",'
            f'"credential_configuration_id":"{EMPLOYEE_SD}"}}]'
        },
    ],
    ids=["to an app", "to this machine", "a scope", "details"],
)
async def test_a_request_that_holds_is_taken(scene: WalletScene, changes: dict[str, str]) -> None:
    answer = await pushed(scene, **changes)
    assert answer.status == 201
    assert answer.json()["request_uri"].startswith("urn:ietf:params:oauth:request_uri:")


async def test_every_scope_in_the_metadata_of_what_was_offered_is_taken(scene: WalletScene) -> None:
    metadata = (await scene.browser.get("/.well-known/openid-credential-issuer")).json()
    supported = metadata["credential_configurations_supported"]
    scopes = [supported[one]["scope"] for one in (EMPLOYEE_SD, "LEARCredentialEmployee")]
    assert (await pushed(scene, scope=" ".join(scopes))).status == 201


async def test_the_response_to_a_code_names_the_credentials_of_the_details_that_were_asked_for(
    scene: WalletScene,
) -> None:
    detail = {"type": "openid_credential", "credential_configuration_id": EMPLOYEE_SD}
    asked = await pushed(scene, authorization_details=json.dumps([detail, detail]))
    approved = await scene.approve(address_of(asked), ANA)
    code = parse_qs(urlsplit(approved.headers["location"]).query)["code"][0]
    tokens = (await token(scene, code)).json()
    assert tokens["authorization_details"] == [detail | {"credential_identifiers": [EMPLOYEE_SD]}]
    proof = scene.issuing.proof(new_key())
    body = {"credential_identifier": EMPLOYEE_SD, "proofs": {"jwt": [proof]}}
    (credential,) = await scene.issuing.issuer.credentials(tokens["access_token"], body)
    assert (await scene.issuing.verified(credential)).mandate is not None


@pytest.mark.parametrize("who", [ANA, BOB], ids=["the person", "somebody else"])
async def test_who_does_not_approve_goes_back_to_the_wallet_and_the_request_is_over(
    scene: WalletScene, who: Principal
) -> None:
    address = address_of(await pushed(scene, redirect_uri="https://wallet.example/back?a=1"))
    declined = await scene.decide(address, who, DECLINE)
    assert declined.status == 303
    location, _, query = declined.headers["location"].partition("?")
    assert location == "https://wallet.example/back"
    issuer = f"{ENDPOINT}/oid4vci"
    assert parse_qs(query) == {"a": ["1"], "error": ["access_denied"], "state": ["s"], "iss": [issuer]}
    assert (await scene.browser.get(address)).status == 404


async def test_a_page_of_somebody_else_declines_nothing_and_no_other_button_is_one(
    scene: WalletScene,
) -> None:
    address = address_of(await pushed(scene))
    assert (await scene.decide(address, ANA, DECLINE, csrf="forged")).status == 403
    assert (await scene.decide(address, ANA, "perhaps")).status == 400
    assert (await scene.approve(address, ANA)).status == 303


async def test_a_request_is_of_its_client_and_ends(scene: WalletScene) -> None:
    address = address_of(await pushed(scene))
    assert (await scene.browser.get(address.replace("client_id=wallet", "client_id=other"))).status == 404
    await scene.issuing.clock.advance(600)
    assert (await scene.browser.get(address)).status == 404


async def test_a_request_is_approved_once(scene: WalletScene) -> None:
    address = address_of(await pushed(scene))
    await scene.approve(address, ANA)
    cookie = {"cookie": (await scene.logins.login(ANA)).decode()}
    assert (await scene.browser.get(address, headers=cookie)).status == 404


async def test_of_one_offer_four_requests_wait_at_a_time(scene: WalletScene) -> None:
    offer = await scene.issuing.offer()
    answers = [await pushed(scene, issuer_state=offer.reference) for _ in range(5)]
    assert [one.status for one in answers] == [201, 201, 201, 201, 429]
    assert "retry-after" in answers[-1].headers


BAD_CODES: dict[str, dict[str, str]] = {
    "with another verifier": {"code_verifier": "B" * 43},
    "with another address": {"redirect_uri": "https://evil.example/back"},
    "without the address": {"redirect_uri": ""},
    "as another client": {"client_id": "other"},
}


@pytest.mark.parametrize("what", BAD_CODES)
async def test_a_code_that_somebody_else_shows_is_good_for_nothing_any_more(
    scene: WalletScene, what: str
) -> None:
    code = await code_of(scene)
    for changes in (BAD_CODES[what], {}):
        answer = await token(scene, code, **changes)
        assert (answer.status, answer.json()["error"]) == (400, "invalid_grant")


async def test_a_code_that_is_used_twice_ends_its_offer_and_the_token(scene: WalletScene) -> None:
    code = await code_of(scene)
    first = (await token(scene, code)).json()["access_token"]
    assert (await token(scene, code)).json()["error"] == "invalid_grant"
    headers = {"authorization": f"Bearer {first}", "content-type": "application/json"}
    answer = await scene.send(
        HttpRequest("POST", f"{ENDPOINT}/oid4vci/credential", headers, b'{"credential_configuration_id":"x"}')
    )
    assert (answer.status, b"invalid_token" in answer.body) == (401, True)


async def test_a_code_ends_after_a_minute(scene: WalletScene) -> None:
    code = await code_of(scene)
    await scene.issuing.clock.advance(60)
    assert (await token(scene, code)).json()["error"] == "invalid_grant"


async def test_a_code_without_a_verifier_is_none(scene: WalletScene) -> None:
    assert (await token(scene, await code_of(scene), code_verifier="")).json()["error"] == "invalid_request"


# -- the wallet ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda address: address.replace("iss=", "iss=x"),
        lambda address: address.replace("state=", "state=x"),
        lambda address: address.partition("?")[0],
        lambda address: address.replace("code=", "error=access_denied&other="),
    ],
    ids=["another issuer", "another request", "nothing", "a refusal"],
)
async def test_the_wallet_takes_no_answer_to_something_else(scene: WalletScene, change: Any) -> None:
    acceptance, pending = await scene.begin_approval()
    location = (await scene.approve(pending.address, ANA)).headers["location"]
    with pytest.raises(HansaError):
        await acceptance.finish(pending, change(location))
    assert scene.folder.credentials() == ()
