"""What the modules of the plans for issuers of the OpenID conformance suite do and expect, played here.

Named after the modules (vci10issuer, fapi2spfinal); `docs/conformance.md` has their table.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from hansa.api.issuing import DECLINE
from hansa.identity.issuing import IssuingRules
from hansa.identity.provider.tokens.proofs import thumbprint_of
from tests.support.certificates import new_key
from tests.support.credentials import jwk
from tests.support.issuing import ENDPOINT
from tests.support.suite_wallet import SuiteWallet
from tests.support.wallet_scene import WalletScene


@pytest.fixture
def wallet(tmp_path: Path) -> SuiteWallet:
    return SuiteWallet(WalletScene(tmp_path, IssuingRules(needs_dpop=True)))


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
