from __future__ import annotations

import pytest

from hansa.core.certificates import is_elsi, organization_identifier_of


@pytest.mark.parametrize(
    "identifier",
    [
        "VATES-12345678",
        "NTRGB-12345678",
        "LEIXG-5493001KJTIIGC8Y1R12",
        "PSDBE-NBB-1234.567.890",
        "EI:SE-5567971433",
    ],
)
def test_a_well_formed_did_elsi_has_the_organization_identifier_of_the_certificate(identifier: str) -> None:
    assert organization_identifier_of(f"did:elsi:{identifier}") == identifier


@pytest.mark.parametrize(
    "did",
    [
        "did:elsi:",
        "did:elsi:12345678",
        "did:elsi:vates-12345678",
        "did:elsi:VATES12345678",
        "did:elsi:VATES-",
        "did:elsi:VATES-1234/5678",
        "did:elsi:VATES-%31",
        "did:elsi:VATES-\uff11",
        "did:elsi:VAT1S-12345678",
        "did:elsi:VATES-12345678#key",
        "did:elsi:VATES-12345678\n",
        "did:ELSI:VATES-12345678",
        "did:web:VATES-12345678",
        "VATES-12345678",
        "did:elsi:" + "VATES-" + "1" * 201,
    ],
)
def test_everything_else_has_none(did: str) -> None:
    assert organization_identifier_of(did) is None


def test_a_malformed_one_still_says_what_it_claims_to_be() -> None:
    assert is_elsi("did:elsi:12345678")
    assert not is_elsi("did:key:zDn")
