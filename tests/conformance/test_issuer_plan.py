"""What the modules of the plans for issuers of the OpenID conformance suite do and expect, played here.

Named after the modules (vci10issuer, fapi2spfinal); `docs/conformance.md` has their table.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from hansa.api.issuing import APPROVE, DECLINE
from hansa.core.access import OPERATOR
from hansa.identity.issuing import IssuingRules
from hansa.identity.issuing.authorizing import PENDING_WITHOUT_OFFER_MAX
from hansa.identity.issuing.configurations import PROOFS_MAX
from hansa.identity.provider.tokens.proofs import thumbprint_of
from tests.support.certificates import new_key
from tests.support.credentials import decoded, jwk
from tests.support.issuing import EMPLOYEE_SD, ENDPOINT, MACHINE, ORDER
from tests.support.logins import ANA, BOB
from tests.support.suite_wallet import SuiteWallet
from tests.support.wallet_scene import WalletScene

HAIP = IssuingRules(needs_dpop=True, forms=("dc+sd-jwt",), is_wallet_initiated=True, sd_jwt_issuer="address")


@pytest.fixture
def wallet(tmp_path: Path) -> SuiteWallet:
    return SuiteWallet(WalletScene(tmp_path, HAIP))


# -- vci10issuer ---------------------------------------------------------------------------------------------


async def test_metadata_name_what_is_offered(wallet: SuiteWallet) -> None:
    browser = wallet.scene.browser
    metadata = (await browser.get("/.well-known/openid-credential-issuer")).json()
    assert metadata["credential_issuer"] == ENDPOINT
    supported = metadata["credential_configurations_supported"].values()
    assert {one["format"] for one in supported} == {"dc+sd-jwt"}
    assert all(one["scope"] for one in supported)
    (server,) = metadata["authorization_servers"]
    found = (await browser.get("/.well-known/oauth-authorization-server/oid4vci")).json()
    assert found["issuer"] == server
    assert found["require_pushed_authorization_requests"] is True


async def test_happy_flow_begun_by_an_offer(wallet: SuiteWallet) -> None:
    answer = await wallet.request(await wallet.token())
    assert answer.status == 200
    (issued,) = answer.json()["credentials"]
    header, claims = (decoded(part) for part in issued["credential"].split(".")[:2])
    assert header["typ"] == "dc+sd-jwt"
    assert len(header["x5c"]) == 1
    assert claims["iss"] == ENDPOINT
    assert claims["cnf"]["jwk"].keys() == {"kty", "crv", "x", "y"}
    assert {"vct", "iat", "exp", "status"} <= claims.keys()
    assert (await wallet.scene.issuing.verified(issued["credential"])).mandate is not None


DETAILS = json.dumps([{"type": "openid_credential", "credential_configuration_id": EMPLOYEE_SD}])


@pytest.mark.parametrize("way", ["scope", "details"])
async def test_happy_flow_begun_by_the_wallet(wallet: SuiteWallet, way: str) -> None:
    await wallet.scene.issuing.offer()
    changes = {} if way == "scope" else {"scope": "", "authorization_details": DETAILS}
    answer = await wallet.request(await wallet.token(None, issuer_state="", **changes))
    assert answer.status == 200


async def test_batch_issuance_gives_nothing_by_which_its_credentials_are_linked(wallet: SuiteWallet) -> None:
    token, nonce = await wallet.token(), await wallet.nonce()
    proofs = [wallet.scene.issuing.proof(new_key(), {"nonce": nonce}) for _ in range(PROOFS_MAX)]
    body = {"credential_configuration_id": EMPLOYEE_SD, "proofs": {"jwt": proofs}}
    issued = (await wallet.request(token, body)).json()["credentials"]
    claims = [decoded(one["credential"].split(".")[1]) for one in issued]
    assert len({one["cnf"]["jwk"]["x"] for one in claims}) == PROOFS_MAX
    assert len({one["status"]["status_list"]["idx"] for one in claims}) == PROOFS_MAX
    assert len({one["status"]["status_list"]["uri"] for one in claims}) == 1
    assert all(one[name] % 3600 == 0 for one in claims for name in ("iat", "exp"))
    assert len({digest for one in claims for digest in one["mandate"]["mandatee"]["_sd"]}) == 3 * PROOFS_MAX


async def test_happy_flow_multiple_clients(wallet: SuiteWallet) -> None:
    for one in (wallet, SuiteWallet(wallet.scene, "second")):
        await wallet.scene.issuing.offer()
        assert (await one.request(await one.token(issuer_state=""))).status == 200


async def test_happy_flow_additional_requests(wallet: SuiteWallet) -> None:
    token = await wallet.token()
    answers = [await wallet.request(token) for _ in range(3)]
    assert [one.status for one in answers] == [200, 200, 200]


async def test_nothing_is_issued_to_a_person_for_whom_nothing_is_prepared(wallet: SuiteWallet) -> None:
    scene = wallet.scene
    await scene.issuing.offer(msgspec.structs.replace(ORDER, email="eve@goodair.example"))
    await scene.issuing.offer(msgspec.structs.replace(ORDER, organization="VATES-99999999"))
    await scene.issuing.offer(MACHINE)
    ended = await scene.issuing.offer()
    await scene.issuing.issuer.withdraw(ended.id)
    pushed = await wallet.push()
    cookie = {"cookie": (await scene.logins.login(ANA)).decode()}
    page = await scene.browser.get(wallet.address(pushed), headers=cookie)
    assert (page.status, page.json()["is_approvable"]) == (403, False)
    assert page.json()["title"] == "Nothing is prepared for you"
    assert (await scene.decide(wallet.address(pushed), ANA, APPROVE)).status == 409
    assert (await wallet.decided(pushed, decision=DECLINE))["error"] == "access_denied"


async def test_an_operator_gets_nothing_of_others_by_a_wallet_that_names_no_offer(
    wallet: SuiteWallet,
) -> None:
    offer = await wallet.scene.issuing.offer()
    operating = msgspec.structs.replace(BOB, email="bob@lubeck.example", roles=frozenset({OPERATOR}))
    address = wallet.address(await wallet.push())
    assert (await wallet.scene.decide(address, operating, APPROVE)).status == 409
    assert (await wallet.scene.decide(address, operating, APPROVE, offer=offer.id)).status == 409


async def test_what_is_approved_is_what_the_page_showed(wallet: SuiteWallet) -> None:
    scene = wallet.scene
    first = await scene.issuing.offer()
    address = wallet.address(await wallet.push())
    await scene.issuing.issuer.withdraw(first.id)
    await scene.issuing.offer()
    assert (await scene.decide(address, ANA, APPROVE, offer=first.id)).status == 409
    assert (await scene.decide(address, ANA, APPROVE)).status == 303


@pytest.mark.parametrize("scope", ["", "openid", "credential:LEARCredentialEmployee"])
async def test_a_request_without_an_offer_names_what_is_issued_here(wallet: SuiteWallet, scope: str) -> None:
    refused = await wallet.push(scope=scope)
    assert (refused.status, refused.json()["error"]) == (400, "invalid_request")


async def test_a_wallet_begins_without_an_offer_only_where_the_rules_say_so(tmp_path: Path) -> None:
    refused = await SuiteWallet(WalletScene(tmp_path)).push()
    assert (refused.status, refused.json()["error"]) == (400, "invalid_request")


async def test_who_pushes_requests_without_offers_leaves_room_for_others(wallet: SuiteWallet) -> None:
    for _ in range(PENDING_WITHOUT_OFFER_MAX):
        await wallet.scene.issuing.issuer.push(wallet.fields())
    assert (await wallet.push()).status == 429
    assert await wallet.code()


# -- fapi2spfinal --------------------------------------------------------------------------------------------


async def test_user_rejects_authentication(wallet: SuiteWallet) -> None:
    offer = await wallet.scene.issuing.offer()
    pushed = await wallet.push(issuer_state=offer.reference)
    assert await wallet.decided(pushed, decision=DECLINE) == {
        "error": "access_denied",
        "state": "s" * 128,
        "iss": f"{ENDPOINT}/oid4vci",
    }


async def test_ensure_holder_of_key_required(wallet: SuiteWallet) -> None:
    code = await wallet.code()
    refused = await wallet.exchange(code, has_proof=False)
    assert (refused.status, refused.json()["error"]) == (400, "invalid_dpop_proof")
    assert (await wallet.exchange(code)).status == 200


async def test_ensure_mismatched_dpop_jkt_fails(wallet: SuiteWallet) -> None:
    offer = await wallet.scene.issuing.offer()
    other = thumbprint_of(jwk(new_key()))
    refused = await wallet.push(wallet.proof("/oid4vci/par"), issuer_state=offer.reference, dpop_jkt=other)
    assert (refused.status, refused.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("way", ["jkt", "proof"])
async def test_ensure_token_endpoint_fails_with_mismatched_dpop_key(wallet: SuiteWallet, way: str) -> None:
    if way == "jkt":
        code = await wallet.code(dpop_jkt=thumbprint_of(jwk(wallet.dpop_key)))
    else:
        code = await wallet.code(wallet.proof("/oid4vci/par"))
    refused = await wallet.exchange(code, new_key())
    assert (refused.status, refused.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("way", ["jkt", "proof", "both"])
async def test_ensure_dpop_auth_code_binding_success(wallet: SuiteWallet, way: str) -> None:
    headers = wallet.proof("/oid4vci/par") if way != "jkt" else {}
    fields = {"dpop_jkt": thumbprint_of(jwk(wallet.dpop_key))} if way != "proof" else {}
    token = await wallet.token(headers, **fields)
    assert (await wallet.request(token)).status == 200


async def test_a_bound_token_without_a_proof_is_refused(wallet: SuiteWallet) -> None:
    token = await wallet.token()
    bearer = await wallet.request(token, dpop={"authorization": f"Bearer {token}"})
    assert (bearer.status, bearer.json()["error"]) == (401, "invalid_token")
    assert (await wallet.request(token, dpop={})).status == 401
