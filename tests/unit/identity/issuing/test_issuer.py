"""The issuer, asked as a wallet asks, and as somebody asks who is none."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hansa.core.errors import Code, Refused, Unavailable
from hansa.identity.credentials.mandate import MandatedMachine, MandatedPerson
from hansa.identity.issuing import IssuingRefused, OrderedPower, power_of
from hansa.identity.issuing.configurations import PROOFS_MAX
from hansa.identity.issuing.issuer import OFFER_LIFE_MAX_S, REQUESTS_MAX, TOKEN_LIFE_S, TRIES_MAX
from hansa.identity.issuing.proofs.nonces import NONCE_LIFE_S
from hansa.store.tables import issuing as tables
from tests.support.certificates import new_key
from tests.support.credentials import b64, decoded, did_jwk, did_key, encoded, jwk, jwt
from tests.support.issuing import (
    EMPLOYEE_JWT,
    EMPLOYEE_SD,
    ENDPOINT,
    MACHINE,
    ORDER,
    Issuing,
)

KEY = new_key()
OTHER = new_key()


@pytest.fixture
def issuing(tmp_path: Path) -> Issuing:
    return Issuing(tmp_path)


# -- what is issued --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("configuration", [EMPLOYEE_SD, EMPLOYEE_JWT])
async def test_an_issued_mandate_verifies_and_says_what_was_ordered(
    issuing: Issuing, configuration: str
) -> None:
    credential = await issuing.verified(await issuing.issued(configuration, key=KEY))
    assert credential.issuer.id == "did:elsi:VATES-12345678"
    assert credential.status is not None
    mandate = credential.mandate
    assert mandate is not None
    assert mandate.organization.identifier == "VATES-12345678"
    assert mandate.organization.name == "GoodAir"
    assert isinstance(mandate.mandatee, MandatedPerson)
    assert mandate.mandatee.id == did_key(KEY)
    assert (mandate.mandatee.first_name, mandate.mandatee.last_name) == ("Ana María", "Prueba")
    assert mandate.covers("DOME", "ProductOffering", "Update")
    assert not mandate.covers("DOME", "ProductOffering", "Delete")


async def test_a_machine_has_a_mandate_too(issuing: Issuing) -> None:
    credential = await issuing.verified(await issuing.issued("LEARCredentialMachine", MACHINE, KEY))
    assert credential.mandate is not None
    assert isinstance(credential.mandate.mandatee, MandatedMachine)
    assert credential.mandate.mandatee.service_name == "price-feed"


async def test_a_configuration_of_an_offer_may_be_requested_a_bounded_number_of_times(
    issuing: Issuing,
) -> None:
    token = await issuing.token()
    texts = [(await issuing.request(token, issuing.proof(KEY)))[0] for _ in range(REQUESTS_MAX)]
    assert len(set(texts)) == REQUESTS_MAX
    assert await issuing.refusal(token, issuing.proof(KEY)) == "credential_request_denied"
    assert await issuing.request(token, issuing.proof(KEY), configuration=EMPLOYEE_JWT)
    await issuing.clock.advance(TOKEN_LIFE_S)
    assert await issuing.refusal(token, issuing.proof(KEY)) == "invalid_token"


async def test_an_offer_whose_code_was_used_is_gone_when_its_token_has_ended(issuing: Issuing) -> None:
    await issuing.token()
    await issuing.clock.advance(TOKEN_LIFE_S)
    waiting = await issuing.offer()
    assert [one.id for one in await tables.offers(issuing.store, 9)] == [waiting.id]


async def test_requests_at_once_give_no_more_than_one_after_another(issuing: Issuing) -> None:
    token = await issuing.token()
    results = await asyncio.gather(
        *(issuing.request(token, issuing.proof(KEY)) for _ in range(REQUESTS_MAX + 3)), return_exceptions=True
    )
    assert sum(isinstance(result, list) for result in results) == REQUESTS_MAX


async def test_several_keys_get_a_credential_each_with_a_place_of_its_own(issuing: Issuing) -> None:
    nonce = issuing.issuer.nonce()
    keys = [new_key() for _ in range(PROOFS_MAX)]
    token = await issuing.token()
    texts = await issuing.request(token, *(issuing.proof(key, {"nonce": nonce}) for key in keys))
    claims = [decoded(text.split("~")[0].split(".")[1]) for text in texts]
    assert [one["cnf"]["jwk"] for one in claims] == [jwk(key) for key in keys]
    assert len({one["status"]["status_list"]["idx"] for one in claims}) == PROOFS_MAX


async def test_personal_attributes_are_disclosed_one_by_one(issuing: Issuing) -> None:
    signed = (await issuing.issued()).split("~")[0]
    assert b"ana@goodair.example" not in msgspec.json.encode(decoded(signed.split(".")[1]))
    credential = await issuing.verified(f"{signed}~")
    assert credential.mandate is not None
    assert isinstance(credential.mandate.mandatee, MandatedPerson)
    assert credential.mandate.mandatee.email == ""
    assert credential.mandate.covers("DOME", "Onboarding", "Execute")


async def test_an_offer_waits_over_a_restart(issuing: Issuing) -> None:
    offer = await issuing.offer()
    issuing.issuer = issuing.restarted()
    token = await issuing.redeem(await issuing.code(offer), offer.tx_code)
    issuing.issuer = issuing.restarted()
    (text,) = await issuing.request(token, issuing.proof(KEY))
    assert (await issuing.verified(text)).mandate is not None


async def test_keys_at_rest_are_for_their_owner_alone(issuing: Issuing, tmp_path: Path) -> None:
    await issuing.issued()
    files = [path for path in (tmp_path / "issuing").rglob("*") if path.is_file()]
    assert {path.name for path in files} == {
        *("authority.pem", "authority.jwk", "VATES-12345678.pem", "VATES-12345678.jwk")
    }
    assert {path.stat().st_mode & 0o077 for path in files} == {0}


async def test_a_seal_outlives_what_it_signs(issuing: Issuing) -> None:
    first = issuing.authority.seal("VATES-12345678", "GoodAir", "ES")
    await issuing.clock.advance(2 * 366 * 86_400.0)
    second = issuing.authority.seal("VATES-12345678", "GoodAir", "ES")
    assert second.certificate != first.certificate
    assert second == issuing.authority.seal("VATES-12345678", "GoodAir", "ES")


@pytest.mark.parametrize(
    "changes",
    [
        {"organization": "GoodAir"},
        {"organization": "VATES-../../../etc"},
        {"organization_name": ""},
        {"organization_name": "Good\x1b[2JAir"},
        {"country": "Spain"},
        {"email": "ana"},
        {"name": " "},
        {"name": "x" * 300},
        {"powers": ()},
        {"powers": (OrderedPower("ProductOffering", ()),)},
        {"powers": (OrderedPower("Product Offering", ("Create",)),)},
        {"life_s": 0},
        {"life_s": 400 * 86_400},
        {"forms": ()},
        {"forms": ("dc+sd-jwt", "dc+sd-jwt")},
    ],
    ids=str,
)
async def test_an_order_that_no_verifier_would_take_is_refused(
    issuing: Issuing, changes: dict[str, Any]
) -> None:
    with pytest.raises(Refused) as refused:
        await issuing.offer(msgspec.structs.replace(ORDER, **changes))
    assert refused.value.code == Code.INVALID


def test_a_power_is_written_in_one_line() -> None:
    assert power_of("ProductOffering:Create,Update") == OrderedPower("ProductOffering", ("Create", "Update"))
    assert power_of("Dome/Onboarding:Execute") == OrderedPower("Onboarding", ("Execute",), "Dome")


@pytest.mark.parametrize("text", ["", "ProductOffering", "ProductOffering:", ":Create", "a/b/c:D", "A:b,,c"])
def test_what_is_no_power_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        power_of(text)


# -- codes and tokens ------------------------------------------------------------------------------------------


async def test_a_guessed_reference_and_a_guessed_code_lead_to_nothing(issuing: Issuing) -> None:
    offer = await issuing.offer()
    with pytest.raises(Refused) as refused:
        await issuing.issuer.offer_document(offer.id)
    assert refused.value.code == Code.NOT_FOUND
    assert await issuing.token_refusal(b64(b"x" * 32), offer.tx_code) == "invalid_grant"
    assert await issuing.token_refusal(offer.reference, offer.tx_code) == "invalid_grant"


async def test_the_store_has_no_secret_of_an_offer(issuing: Issuing) -> None:
    offer = await issuing.offer()
    code = await issuing.code(offer)
    token = await issuing.redeem(code, offer.tx_code)
    image = issuing.store._tables._connection.serialize("main")
    assert not [secret for secret in (offer.reference, code, token) if secret.encode() in image]


async def test_a_code_is_used_once_and_its_second_use_ends_its_token(issuing: Issuing) -> None:
    offer = await issuing.offer()
    code = await issuing.code(offer)
    token = await issuing.redeem(code, offer.tx_code)
    assert await issuing.token_refusal(code, offer.tx_code) == "invalid_grant"
    assert await issuing.refusal(token, issuing.proof(KEY)) == "invalid_token"


async def test_somebody_without_the_transaction_code_ends_no_token(issuing: Issuing) -> None:
    offer = await issuing.offer()
    code = await issuing.code(offer)
    token = await issuing.redeem(code, offer.tx_code)
    for _ in range(TRIES_MAX + 1):
        assert await issuing.token_refusal(code, "wrong!") == "invalid_grant"
    assert await issuing.request(token, issuing.proof(KEY))


async def test_a_transaction_code_has_a_few_tries(issuing: Issuing) -> None:
    offer = await issuing.offer()
    code = await issuing.code(offer)
    for number in range(TRIES_MAX):
        wrong = f"{(int(offer.tx_code) + 1 + number) % 10**6:06d}"
        assert await issuing.token_refusal(code, wrong) == "invalid_grant"
    assert await issuing.token_refusal(code, offer.tx_code) == "invalid_grant"


async def test_tries_at_once_are_counted_one_by_one(issuing: Issuing) -> None:
    offer = await issuing.offer()
    code = await issuing.code(offer)
    guesses = [f"{(int(offer.tx_code) + 1 + number) % 10**6:06d}" for number in range(50)] + [offer.tx_code]
    assert {await one for one in [issuing.token_refusal(code, guess) for guess in guesses]} == {
        "invalid_grant"
    }


async def test_an_offer_that_was_used_is_not_shown_again(issuing: Issuing) -> None:
    offer = await issuing.offer()
    await issuing.redeem(await issuing.code(offer), offer.tx_code)
    with pytest.raises(Refused):
        await issuing.code(offer)


async def test_offers_and_tokens_end(issuing: Issuing) -> None:
    offer = await issuing.offer()
    code = await issuing.code(offer)
    token = await issuing.token()
    await issuing.clock.advance(TOKEN_LIFE_S)
    assert await issuing.refusal(token, issuing.proof(KEY)) == "invalid_token"
    await issuing.clock.advance(3600.0)
    assert await issuing.token_refusal(code, offer.tx_code) == "invalid_grant"


async def test_an_operator_withdraws_an_offer(issuing: Issuing) -> None:
    offer = await issuing.offer()
    code = await issuing.code(offer)
    await issuing.issuer.withdraw(offer.id)
    assert await issuing.token_refusal(code, offer.tx_code) == "invalid_grant"
    with pytest.raises(Refused):
        await issuing.issuer.withdraw(offer.id)


async def test_another_grant_is_refused(issuing: Issuing) -> None:
    with pytest.raises(IssuingRefused) as refused:
        await issuing.issuer.token({"grant_type": "password", "username": "ana"})
    assert refused.value.error == "unsupported_grant_type"


async def test_a_flood_of_offers_is_bounded(issuing: Issuing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hansa.identity.issuing.issuer.OFFERS_MAX", 3)
    for _ in range(3):
        await issuing.offer()
    with pytest.raises(Unavailable) as refused:
        await issuing.offer()
    assert refused.value.code == Code.OVERLOADED
    await issuing.clock.advance(3600.0)
    assert (await issuing.offer()).expires_s > 0


@pytest.mark.parametrize("life_s", [0, -1, OFFER_LIFE_MAX_S + 1])
async def test_an_offer_waits_no_longer_than_it_may(issuing: Issuing, life_s: int) -> None:
    with pytest.raises(Refused):
        await issuing.issuer.offer(ORDER, life_s)


# -- proofs ----------------------------------------------------------------------------------------------------


async def test_a_key_may_be_named_by_a_did(issuing: Issuing) -> None:
    for kid in (did_key(KEY), f"{did_jwk(KEY)}#0"):
        token = await issuing.token()
        (text,) = await issuing.request(token, issuing.proof(KEY, kid=kid, jwk=None))
        assert decoded(text.split("~")[0].split(".")[1])["cnf"]["jwk"] == jwk(KEY)


PROOFS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "for another issuer": ({"aud": "https://bergen.example"}, {}),
    "for this issuer and another": ({"aud": [ENDPOINT, "https://bergen.example"]}, {}),
    "for nobody": ({"aud": None}, {}),
    "without a time": ({"iat": None}, {}),
    "of last year": ({"iat": 1_700_000_000}, {}),
    "in milliseconds": ({"iat": 1_796_000_000_000}, {}),
    "expired": ({"exp": 1_700_000_000}, {}),
    "of another kind": ({}, {"typ": "JWT"}),
    "of no kind": ({}, {"typ": None}),
    "with a key binding's type": ({}, {"typ": "kb+jwt"}),
    "with another's key": ({}, {"jwk": jwk(OTHER)}),
    "with a private key": ({}, {"jwk": {**jwk(KEY), "d": "c2VjcmV0"}}),
    "with a symmetric key": ({}, {"jwk": {"kty": "oct", "k": "c2VjcmV0"}, "alg": "HS256"}),
    "with alg none": ({}, {"alg": "none"}),
    "with two keys": ({}, {"kid": did_key(KEY)}),
    "without a key": ({}, {"jwk": None}),
    "with a key to be fetched": ({}, {"jwk": None, "kid": "did:web:wallet.example#1"}),
    "with an address of a key": ({}, {"jwk": None, "jku": "https://wallet.example/jwks"}),
    "with a certificate": ({}, {"jwk": None, "x5c": ["MIIB"]}),
    "with what is critical and unknown": ({}, {"crit": ["x"], "x": 1}),
}


@pytest.mark.parametrize("name", PROOFS)
async def test_a_proof_that_proves_nothing_is_refused(issuing: Issuing, name: str) -> None:
    token = await issuing.token()
    changes, header = PROOFS[name]
    assert await issuing.refusal(token, issuing.proof(KEY, changes, **header)) == "invalid_proof"
    assert await issuing.request(token, issuing.proof(KEY))


async def test_the_secret_of_a_symmetric_key_in_the_header_signs_nothing(issuing: Issuing) -> None:
    public = json.dumps(jwk(KEY))
    header = encoded({"alg": "HS256", "typ": "openid4vci-proof+jwt", "jwk": jwk(KEY)})
    payload = encoded({"aud": ENDPOINT, "iat": issuing.now_s, "nonce": issuing.issuer.nonce()})
    tag = hmac.digest(public.encode(), f"{header}.{payload}".encode(), hashlib.sha256)
    assert await issuing.refusal(await issuing.token(), f"{header}.{payload}.{b64(tag)}") == "invalid_proof"


@pytest.mark.parametrize("kind", ["P-384", "Ed25519", "2048"])
async def test_a_key_with_which_no_holder_signs_here_is_refused(issuing: Issuing, kind: str) -> None:
    assert await issuing.refusal(await issuing.token(), issuing.proof(new_key(kind))) == "invalid_proof"


NONCES: dict[str, Any] = {
    "left out": None,
    "made up": b64(b"x" * 56),
    "short": "AAAA",
    "no text": 7,
    "text": "ä",
}


@pytest.mark.parametrize("name", NONCES)
async def test_a_nonce_that_is_none_of_the_issuers_is_refused(issuing: Issuing, name: str) -> None:
    proof = issuing.proof(KEY, {"nonce": NONCES[name]})
    assert await issuing.refusal(await issuing.token(), proof) == "invalid_nonce"


async def test_a_proof_is_good_once(issuing: Issuing) -> None:
    proof = issuing.proof(KEY)
    await issuing.request(await issuing.token(), proof)
    assert await issuing.refusal(await issuing.token(), proof) == "invalid_nonce"


async def test_a_nonce_ends(issuing: Issuing) -> None:
    nonce = issuing.issuer.nonce()
    await issuing.clock.advance(NONCE_LIFE_S)
    token = await issuing.token()
    assert await issuing.refusal(token, issuing.proof(KEY, {"nonce": nonce})) == "invalid_nonce"


async def test_a_nonce_of_another_process_is_refused(issuing: Issuing) -> None:
    nonce = issuing.issuer.nonce()
    issuing.issuer = issuing.restarted()
    token = await issuing.token()
    assert await issuing.refusal(token, issuing.proof(KEY, {"nonce": nonce})) == "invalid_nonce"


async def test_proofs_with_different_nonces_or_of_one_key_are_refused(issuing: Issuing) -> None:
    token = await issuing.token()
    assert await issuing.refusal(token, issuing.proof(KEY), issuing.proof(OTHER)) == "invalid_nonce"
    nonce = issuing.issuer.nonce()
    twice = [issuing.proof(KEY, {"nonce": nonce, "jti": str(number)}) for number in range(2)]
    assert await issuing.refusal(token, *twice) == "invalid_proof"


@pytest.mark.parametrize(
    "proofs",
    [
        None,
        [],
        {},
        {"jwt": []},
        {"jwt": "x"},
        {"jwt": [7]},
        {"jwt": ["x.y.z"]},
        {"jwt": ["x" * 10_000]},
        {"jwt": ["x"] * (PROOFS_MAX + 1)},
        {"attestation": ["x"]},
        {"jwt": ["x"], "attestation": ["x"]},
        {"di_vp": [{}]},
    ],
    ids=lambda value: str(value)[:32],
)
async def test_proofs_of_another_form_are_refused(issuing: Issuing, proofs: Any) -> None:
    token = await issuing.token()
    with pytest.raises(IssuingRefused) as refused:
        await issuing.issuer.credentials(
            token, {"credential_configuration_id": EMPLOYEE_SD, "proofs": proofs}
        )
    assert refused.value.error == "invalid_proof"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"credential_configuration_id": None}, "invalid_credential_request"),
        ({"credential_identifier": EMPLOYEE_SD}, "invalid_credential_request"),
        ({"credential_response_encryption": {}}, "invalid_encryption_parameters"),
        ({"credential_configuration_id": "x"}, "unknown_credential_configuration"),
        ({"credential_configuration_id": "LEARCredentialMachine"}, "unknown_credential_configuration"),
    ],
    ids=str,
)
async def test_a_request_for_something_else_is_refused(
    issuing: Issuing, changes: dict[str, Any], error: str
) -> None:
    token = await issuing.token()
    body = {"credential_configuration_id": EMPLOYEE_SD, "proofs": {"jwt": [issuing.proof(KEY)]}} | changes
    with pytest.raises(IssuingRefused) as refused:
        await issuing.issuer.credentials(token, body)
    assert refused.value.error == error


@pytest.mark.parametrize("identifier", ["x", "LEARCredentialMachine"])
async def test_an_identifier_that_no_token_response_named_is_refused(
    issuing: Issuing, identifier: str
) -> None:
    body = {"credential_identifier": identifier, "proofs": {"jwt": [issuing.proof(KEY)]}}
    with pytest.raises(IssuingRefused) as refused:
        await issuing.issuer.credentials(await issuing.token(), body)
    assert refused.value.error == "unknown_credential_identifier"


async def test_a_stranger_cannot_have_a_proof_looked_at(issuing: Issuing) -> None:
    for token in ("", "x", "x" * 100_000, "\udcff"):
        assert await issuing.refusal(token, jwt(KEY, {})) == "invalid_token"


async def test_a_refusal_says_nothing_that_the_wallet_wrote(issuing: Issuing) -> None:
    token = await issuing.token()
    with pytest.raises(IssuingRefused) as refused:
        await issuing.request(token, issuing.proof(KEY, typ="<script>"))
    assert "script" not in refused.value.message
