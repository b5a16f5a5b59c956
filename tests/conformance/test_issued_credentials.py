"""What the issuer issues, judged by implementations that are not ours: `openvc-core` and `sd-jwt`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from hansa.core.clock import SystemClock
from hansa.identity.issuing import authorization_server_metadata, issuer_metadata
from hansa.store.tables import issuing as tables
from tests.support.certificates import new_key
from tests.support.credentials import decoded, jwk
from tests.support.issuing import (
    DEFAULT_RULES,
    EMPLOYEE_JWT,
    EMPLOYEE_SD,
    ENDPOINT,
    PRE_AUTHORIZED,
    Issuing,
)

KEY = new_key()


@pytest.fixture
def issuing(tmp_path: Path) -> Issuing:
    """One at the present time: the others look at the machine's clock."""
    return Issuing(tmp_path, SystemClock().now())


def seal_jwk(issuing: Issuing) -> dict[str, str]:
    """The key in the certificate of the seal."""
    certificate = issuing.authority.present_seal("VATES-12345678").certificate

    class Certified:
        def public_key(self) -> Any:
            return x509.load_der_x509_certificate(certificate).public_key()

    return jwk(Certified())


async def test_openvc_verifies_the_sd_jwt(issuing: Issuing) -> None:
    suite = pytest.importorskip("openvc.proof.sd_jwt").SdJwtVcProofSuite()
    text = await issuing.issued(EMPLOYEE_SD, key=KEY)
    verified = suite.verify(text, public_key_jwk=seal_jwk(issuing))
    assert verified.claims["mandate"]["mandatee"]["email"] == "ana@goodair.example"
    assert verified.claims["cnf"]["jwk"] == jwk(KEY)


async def test_the_reference_implementation_verifies_the_sd_jwt(issuing: Issuing) -> None:
    verifier = pytest.importorskip("sd_jwt.verifier").SDJWTVerifier
    text = await issuing.issued(EMPLOYEE_SD, key=KEY)
    key = pytest.importorskip("jwcrypto.jwk").JWK(**seal_jwk(issuing))
    payload = verifier(text, lambda *_: key).get_verified_payload()
    assert payload["mandate"]["mandatee"]["lastName"] == "Prueba"
    assert payload["mandate"]["mandator"]["organizationIdentifier"] == "VATES-12345678"


async def test_openvc_verifies_the_jwt_vc(issuing: Issuing) -> None:
    suite = pytest.importorskip("openvc.proof.vc_jwt").VcJwtProofSuite()
    text = await issuing.issued(EMPLOYEE_JWT, key=KEY)
    verified = suite.verify(text, public_key_jwk=seal_jwk(issuing))
    assert "LEARCredentialEmployee" in verified.credential["type"]


async def test_openvc_reads_the_status_lists(issuing: Issuing) -> None:
    status = pytest.importorskip("openvc.status")
    text = await issuing.issued(EMPLOYEE_SD, key=KEY)
    reference = decoded(text.split("~")[0].split(".")[1])["status"]["status_list"]
    for value in ("valid", "suspended", "revoked"):
        (credential,) = await tables.credentials(issuing.store, 1)
        await issuing.issuer.set_status(credential.id, value)
        token = (await issuing.lists.signed(1)).body.decode()
        claims = status.verify_status_list_token(
            token, public_key_jwk=seal_jwk(issuing), expected_uri=reference["uri"]
        )
        content = status.decode_status_list(claims["status_list"]["lst"])
        number = status.get_status(content, reference["idx"], bits=claims["status_list"]["bits"])
        assert number == ("valid", "revoked", "suspended").index(value)


async def test_openvc_reads_the_bitstring_lists(issuing: Issuing) -> None:
    status = pytest.importorskip("openvc.status")
    text = await issuing.issued(EMPLOYEE_JWT, key=KEY)
    entries = decoded(text.split(".")[1])["vc"]["credentialStatus"]
    (credential,) = await tables.credentials(issuing.store, 1)
    await issuing.issuer.set_status(credential.id, "revoked")
    bits = []
    for entry in entries:
        number = int(entry["statusListCredential"].rpartition("/")[2])
        signed = (await issuing.lists.signed(number)).body.decode()
        content = decoded(signed.split(".")[1])["credentialSubject"]
        assert content["statusPurpose"] == entry["statusPurpose"]
        bits.append(
            status.get_status_bit(
                status.decode_bitstring(content["encodedList"]), int(entry["statusListIndex"])
            )
        )
    assert bits == [1, 0]


async def test_openvc_reads_the_offer_and_the_metadata(issuing: Issuing) -> None:
    theirs = pytest.importorskip("openvc.openid4vci")
    metadata = theirs.parse_credential_issuer_metadata(issuer_metadata(ENDPOINT, "lubeck", DEFAULT_RULES))
    assert metadata.credential_issuer == ENDPOINT
    offer = await issuing.offer()
    document = await issuing.issuer.offer_document(offer.reference)
    read = theirs.parse_credential_offer(document)
    assert read.credential_issuer == ENDPOINT
    assert list(read.credential_configuration_ids) == [EMPLOYEE_SD, EMPLOYEE_JWT]
    assert PRE_AUTHORIZED in authorization_server_metadata(ENDPOINT, DEFAULT_RULES)["grant_types_supported"]
