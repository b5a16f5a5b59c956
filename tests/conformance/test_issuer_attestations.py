"""What the modules of the HAIP plan for issuers do with attestations of wallets and keys, played here.

Named after the modules (vci10issuer); `docs/conformance.md` has their table.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hansa.identity.issuing import IssuingRules
from tests.support.asgi import Response
from tests.support.certificates import new_key
from tests.support.credentials import jwk
from tests.support.issuing import EMPLOYEE_SD, PRE_AUTHORIZED
from tests.support.suite_wallet import Provider, SuiteWallet
from tests.support.wallet_scene import WalletScene

KEY = new_key()
OTHER = new_key()


def haip(provider: Provider) -> IssuingRules:
    """Rules with everything that HAIP demands."""
    return IssuingRules(
        needs_dpop=True,
        forms=("dc+sd-jwt",),
        attestations=("wallets", "keys"),
        attesters=(provider.anchor,),
        sd_jwt_issuer="address",
    )


@pytest.fixture
def wallet(tmp_path: Path) -> SuiteWallet:
    provider = Provider()
    return SuiteWallet(WalletScene(tmp_path, haip(provider)), provider=provider)


async def test_metadata_say_what_has_to_be_attested(wallet: SuiteWallet) -> None:
    browser = wallet.scene.browser
    server = (await browser.get("/.well-known/oauth-authorization-server/oid4vci")).json()
    assert server["token_endpoint_auth_methods_supported"] == ["attest_jwt_client_auth"]
    assert server["client_attestation_signing_alg_values_supported"]
    assert server["client_attestation_pop_signing_alg_values_supported"]
    metadata = (await browser.get("/.well-known/openid-credential-issuer")).json()
    proofs = metadata["credential_configurations_supported"][EMPLOYEE_SD]["proof_types_supported"]
    assert {name: one["key_attestations_required"] for name, one in proofs.items()} == {
        "jwt": {},
        "attestation": {},
    }


async def asked(wallet: SuiteWallet, token: str, **proofs: list[str]) -> Response:
    body = {"credential_configuration_id": EMPLOYEE_SD, "proofs": proofs}
    return await wallet.request(token, body)


async def proof_of(wallet: SuiteWallet, attestation: str, nonce: str | None = None) -> str:
    """A proof of `KEY` with an attestation in its header."""
    claims = {"nonce": nonce or await wallet.nonce()}
    return wallet.scene.issuing.proof(KEY, claims, key_attestation=attestation)


async def test_happy_flow_with_attested_keys(wallet: SuiteWallet) -> None:
    token = await wallet.token()
    proof = await proof_of(wallet, wallet.key_attestation(KEY))
    assert (await asked(wallet, token, jwt=[proof])).status == 200
    nonce = await wallet.nonce()
    attestation = wallet.key_attestation(KEY, OTHER, nonce=nonce)
    answer = await asked(wallet, token, attestation=[attestation])
    assert (answer.status, len(answer.json()["credentials"])) == (200, 2)
    again = await asked(wallet, token, attestation=[attestation])
    assert (again.status, again.json()["error"]) == (400, "invalid_nonce")


async def test_batch_issuance_with_one_attestation_for_all_keys(wallet: SuiteWallet) -> None:
    nonce = await wallet.nonce()
    keys = [new_key() for _ in range(8)]
    attestation = wallet.key_attestation(*keys, nonce=nonce)
    proofs = [wallet.scene.issuing.proof(key, {"nonce": nonce}, key_attestation=attestation) for key in keys]
    answer = await asked(wallet, await wallet.token(), jwt=proofs)
    assert (answer.status, len(answer.json()["credentials"])) == (200, 8)


BAD_KEYS: dict[str, Callable[[SuiteWallet], str]] = {
    "of other keys": lambda one: one.key_attestation(OTHER),
    "of no keys": lambda one: one.key_attestation(),
    "of a key twice": lambda one: one.key_attestation(KEY, KEY),
    "of a private key": lambda one: one.key_attestation(attested_keys=[jwk(KEY) | {"d": "AA"}]),
    "expired": lambda one: one.key_attestation(KEY, exp=one.scene.issuing.now_s - 600),
    "without a time": lambda one: one.key_attestation(KEY, iat=None),
    "of the future": lambda one: one.key_attestation(KEY, iat=one.scene.issuing.now_s + 3600),
    "altered": lambda one: one.key_attestation(KEY)[:-8] + "AAAAAAAA",
    "by a stranger": lambda one: SuiteWallet(one.scene, provider=Provider("Other")).key_attestation(KEY),
    "by the wallet": lambda one: one.provider.signed(  # type: ignore[union-attr]
        "key-attestation+jwt", {"iat": one.scene.issuing.now_s, "attested_keys": [jwk(KEY)]}, KEY
    ),
    "of a wallet": lambda one: one.wallet_attestation(),
    "that is none": lambda _: "x",
}


@pytest.mark.parametrize("what", BAD_KEYS)
async def test_fail_invalid_key_attestation(wallet: SuiteWallet, what: str) -> None:
    token = await wallet.token()
    refused = await asked(wallet, token, jwt=[await proof_of(wallet, BAD_KEYS[what](wallet))])
    assert (refused.status, refused.json()["error"]) == (400, "invalid_proof")


async def test_fail_missing_key_attestation_or_its_nonce(wallet: SuiteWallet) -> None:
    token = await wallet.token()
    bare = wallet.scene.issuing.proof(KEY)
    assert (await asked(wallet, token, jwt=[bare])).json()["error"] == "invalid_proof"
    without = wallet.key_attestation(KEY)
    assert (await asked(wallet, token, attestation=[without])).json()["error"] == "invalid_nonce"
    other = await proof_of(wallet, wallet.key_attestation(KEY, nonce=await wallet.nonce()))
    assert (await asked(wallet, token, jwt=[other])).json()["error"] == "invalid_nonce"
    two = [wallet.key_attestation(KEY), wallet.key_attestation(OTHER)]
    assert (await asked(wallet, token, attestation=two)).json()["error"] == "invalid_proof"


Changed = tuple[str, str]


def attested(wallet: SuiteWallet, **claims: Any) -> Changed:
    return wallet.wallet_attestation(**claims), wallet.instance_proof()


def proved(wallet: SuiteWallet, key: Any = None, **claims: Any) -> Changed:
    return wallet.wallet_attestation(), wallet.instance_proof(key, **claims)


BAD_WALLETS: dict[str, Callable[[SuiteWallet], Changed]] = {
    "invalid-client-attestation-signature": lambda one: (
        one.wallet_attestation()[:-8] + "AAAAAAAA",
        one.instance_proof(),
    ),
    "invalid-client-attestation-pop-signature": lambda one: (
        one.wallet_attestation(),
        one.instance_proof()[:-8] + "AAAAAAAA",
    ),
    "client-attestation-exp-in-past": lambda one: attested(one, exp=one.scene.issuing.now_s - 600),
    "client-attestation-no-exp": lambda one: attested(one, exp=None),
    "client-attestation-no-sub": lambda one: attested(one, sub=None),
    "client-attestation-of-another": lambda one: attested(one, sub="other"),
    "client-attestation-no-key": lambda one: attested(one, cnf=None),
    "client-attestation-pop-wrong-aud": lambda one: proved(one, aud="https://other.example"),
    "client-attestation-pop-of-another": lambda one: proved(one, iss="other"),
    "client-attestation-pop-old": lambda one: proved(one, iat=one.scene.issuing.now_s - 3600),
    "client-attestation-pop-no-jti": lambda one: proved(one, jti=None),
    "mismatched-client-attestation-pop-key": lambda one: proved(one, new_key()),
    "stranger": lambda one: (
        SuiteWallet(one.scene, provider=Provider("Other")).wallet_attestation(),
        one.instance_proof(),
    ),
    "pop-in-place-of-the-attestation": lambda one: (one.instance_proof(), one.instance_proof()),
    "none": lambda _: ("", ""),
}


@pytest.mark.parametrize("what", BAD_WALLETS)
async def test_fail_invalid_client_attestation(wallet: SuiteWallet, what: str) -> None:
    offer = await wallet.scene.issuing.offer()
    attestation, proof = BAD_WALLETS[what](wallet)
    headers = {"oauth-client-attestation": attestation, "oauth-client-attestation-pop": proof}
    refused = await wallet.push(headers, issuer_state=offer.reference)
    assert (refused.status, refused.json()["error"]) == (400, "invalid_client")


async def test_a_proof_of_an_instance_is_good_once(wallet: SuiteWallet) -> None:
    offer = await wallet.scene.issuing.offer()
    headers = wallet.authentication()
    assert (await wallet.push(headers, issuer_state=offer.reference)).status == 201
    refused = await wallet.push(headers, issuer_state=offer.reference)
    assert (refused.status, refused.json()["error"]) == (400, "invalid_client")


async def test_a_code_is_of_the_wallet_that_was_attested(wallet: SuiteWallet) -> None:
    code = await wallet.code()
    other = SuiteWallet(wallet.scene, "other", wallet.provider)
    other.redirect_uri, other.dpop_key = wallet.redirect_uri, wallet.dpop_key
    refused = await other.exchange(code)
    assert (refused.status, refused.json()["error"]) == (400, "invalid_grant")


async def test_no_token_is_given_to_a_wallet_that_nobody_attested(wallet: SuiteWallet) -> None:
    issuing = wallet.scene.issuing
    offer = await issuing.offer()
    form = {
        "grant_type": PRE_AUTHORIZED,
        "pre-authorized_code": await issuing.code(offer),
        "tx_code": offer.tx_code,
    }
    refused = await wallet.scene.browser.post_form("/oid4vci/token", form)
    assert (refused.status, refused.json()["error"]) == (400, "invalid_client")
    wallet.provider = None
    code_refused = await wallet.push(issuer_state=offer.reference)
    assert code_refused.json()["error"] == "invalid_client"
