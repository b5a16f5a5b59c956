"""Official vectors of credentials, their keys and their status: each passes, or is refused as it should be.

docs/conformance.md has the table.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from hansa.core.base64url import to_base64url
from hansa.core.certificates import read_anchor, verify_chain
from hansa.core.certificates.certificate import read_certificate
from hansa.core.certificates.extensions import MDOC_PURPOSES
from hansa.core.errors import Code, HansaError, Refused
from hansa.core.trust.certificates import certificates_of_pem
from hansa.identity.credentials import DidKeys, SessionTerms
from hansa.identity.credentials.formats.device_response import check_device, read_device_response
from hansa.identity.credentials.formats.disclosures import disclosed_claims
from hansa.identity.credentials.formats.document import read_claims, read_jws
from hansa.identity.credentials.formats.jwt_vc import read_jwt_presentation, read_jwt_vc
from hansa.identity.credentials.formats.sd_jwt import check_key_binding, read_sd_jwt
from hansa.identity.credentials.status.encoding import bitstring_status_array, token_status_array
from hansa.identity.foreign_jws import chain_of_header, is_signed_by, key_of_jwk
from tests.conformance.credential_specifications import Issuing, plain, read_specification
from tests.support.credentials import NOW_S, SEAL, Verifying, Web, bound, sd_claims, sd_jwt
from tests.unit.identity.credentials.test_mandate import EMPLOYEE_1, EMPLOYEE_2, MACHINE_1, MACHINE_SD


@pytest.fixture(scope="session")
def vectors(shared: Path) -> Path:
    return shared / "vectors"


@pytest.fixture(scope="session")
def interop(vectors: Path) -> Path:
    return vectors / "openvc-fixtures/tests/fixtures/interop"


def text_of(path: Path) -> str:
    return "".join(path.read_text().split())


def json_of(path: Path) -> Any:
    return json.loads(path.read_text())


# SD-JWT.


def test_the_example_of_rfc_9901_a_3_verifies(interop: Path) -> None:
    document, binding = read_sd_jwt(text_of(interop / "sd_jwt_vc/rfc9901-a3-sd-jwt-vc.txt"))
    assert is_signed_by(document.jws, key_of_jwk(json_of(interop / "sd_jwt_vc/rfc9901-a5-issuer-key.json")))
    assert binding is None
    assert document.types == ("urn:eudi:pid:de:1",)
    assert document.claims["nationalities"] == ["DE"]
    assert document.holder.key is not None
    document.validity.check(1_752_624_000)


async def test_the_pid_of_the_eudi_reference_issuer_verifies_up_to_its_unknown_authority(
    interop: Path,
) -> None:
    text = text_of(interop / "sd_jwt_vc/eudi-pid-sd-jwt-vc.txt")
    (leaf,) = certificates_of_pem((interop / "sd_jwt_vc/eudi-pid-issuer.pem").read_bytes())
    document, _ = read_sd_jwt(text)
    assert is_signed_by(document.jws, read_certificate(leaf).key)
    assert document.holder.key == key_of_jwk(public(interop))
    with pytest.raises(Refused, match="none of the league's trust anchors"):
        chain_of_header(document.jws.header, [], 1_784_160_000)
    assert await Verifying().code(text) is Code.CREDENTIAL_ISSUER_UNTRUSTED


# Mdocs.


async def test_the_driving_licence_of_iso_18013_5_annex_d_verifies_up_to_its_device(vectors: Path) -> None:
    folder = vectors / "openvc-fixtures/tests/fixtures/mdoc"
    text = to_base64url(bytes.fromhex(text_of(folder / "annex_d_device_response.hex")))
    presentation = read_device_response(text)
    document = presentation.document
    assert document.types == ("org.iso.18013.5.1.mDL",)
    assert document.subject["family_name"] == "Doe"
    assert (document.validity.begin_s, document.validity.end_s) == (1_601_559_002, 1_633_095_002)
    (root,) = certificates_of_pem((folder / "annex_d_iaca_root.pem").read_bytes())
    chain = chain_of_header(document.jws.header, [read_anchor(root)], 1_601_559_002, purposes=MDOC_PURPOSES)
    assert is_signed_by(document.jws, chain.leaf.key)
    with pytest.raises(Refused, match="authenticates itself by a MAC"):
        check_device(presentation, "x509_hash:x", "nonce", SessionTerms("https://market.example"))
    assert await Verifying().code(text) is Code.CREDENTIAL_MALFORMED


def public(interop: Path) -> dict[str, Any]:
    key = json_of(interop / "sd_jwt_vc/eudi-pid-holder-key.json")
    return {name: value for name, value in key.items() if name != "d"}


def test_the_presentation_in_openid4vp_verifies_for_its_request(vectors: Path) -> None:
    folder = vectors / "openid4vp/1.0/examples/sd_jwt_vcld/01"
    document, binding = read_sd_jwt(text_of(folder / "sd_jwt_presentation.txt"))
    settings = read_specification(folder.parent / "settings.yml")["key_settings"]
    issuer = {name: value for name, value in settings["issuer_keys"][0].items() if name != "d"}
    assert is_signed_by(document.jws, key_of_jwk(issuer))
    audience, nonce = check_key_binding(binding, document.holder, 1_744_743_394, 300)
    assert (audience, nonce) == ("https://verifier.example.org", "1234567890")
    verified = json_of(folder / "verified_contents.json")
    assert document.claims == {**verified, "cnf": document.claims["cnf"]}
    with pytest.raises(Refused):
        check_key_binding(binding, document.holder, NOW_S, 300)


def test_every_specification_of_the_working_group_is_disclosed_as_expected(vectors: Path) -> None:
    count = 0
    for folder in ("sd-jwt-python-testcases", "sd-jwt-rfc9901-examples", "sd-jwt-vc-examples"):
        for path in sorted((vectors / folder).rglob("specification.yml")):
            content = read_specification(path)
            issuing = Issuing()
            signed = issuing.signed(content["user_claims"], content.get("holder_disclosed_claims", {}))
            assert disclosed_claims(signed, issuing.every) == plain(content["user_claims"]), path
            disclosed = disclosed_claims(signed, issuing.chosen)
            if "expect_verified_user_claims" in content:
                assert disclosed == content["expect_verified_user_claims"], path
                count += 1
    assert count > 10


# W3C.


GOOD = ("credential-jose-minimal", "credential-issuer-match-signed")
REFUSED = {
    "credential-jose-vc-vp-claims": Code.CREDENTIAL_MALFORMED,
    "credential-jose-bad-media-type": Code.CREDENTIAL_MALFORMED,
    "credential-jose-unknown-extensions": Code.CREDENTIAL_MALFORMED,  # ES512
    "presentation-jose-bad-credential": Code.CREDENTIAL_MALFORMED,
    "presentation-jose-bad-media-type": Code.CREDENTIAL_MALFORMED,
    "credential-sdjwt-bad-media-type": Code.CREDENTIAL_MALFORMED,
    "credential-sdjwt-nested": Code.CREDENTIAL_MALFORMED,  # ES512
    "credential-sdjwt-selective": Code.CREDENTIAL_MALFORMED,  # no `vct`: W3C's data model as SD-JWT
    "credential-sdjwt-bad-signature": Code.CREDENTIAL_MALFORMED,
    "presentation-sdjwt-selective": Code.CREDENTIAL_MALFORMED,
    "presentation-sdjwt-bad-credential": Code.CREDENTIAL_MALFORMED,
    "presentation-sdjwt-bad-media-type": Code.CREDENTIAL_MALFORMED,
}


def keys_of(vectors: Path) -> list[Any]:
    folder = vectors / "vc-jose-cose/tests/input"
    jwks = [json_of(folder / f"vm-{name}.json")["publicKeyJwk"] for name in ("p256", "p384", "ed25519")]
    return [key_of_jwk(one) for one in jwks]


@pytest.mark.parametrize("name", GOOD)
def test_credentials_of_the_w3c_suite_verify(vectors: Path, name: str) -> None:
    document = read_jwt_vc(text_of(vectors / f"vc-jose-cose/tests/input/{name}.txt"))
    assert [key for key in keys_of(vectors) if is_signed_by(document.jws, key)]


def test_a_credential_of_the_w3c_suite_with_a_bad_signature_does_not_verify(vectors: Path) -> None:
    document = read_jwt_vc(text_of(vectors / "vc-jose-cose/tests/input/credential-jose-bad-signature.txt"))
    assert not [key for key in keys_of(vectors) if is_signed_by(document.jws, key)]


@pytest.mark.parametrize("name", REFUSED)
async def test_bad_and_unsupported_inputs_of_the_w3c_suite_are_refused(vectors: Path, name: str) -> None:
    text = text_of(vectors / f"vc-jose-cose/tests/input/{name}.txt")
    assert await Verifying().code(text) is REFUSED[name]
    assert await Verifying().code(text, is_presented=True) in {REFUSED[name], Code.PRESENTATION_UNBOUND}


def test_selective_disclosure_of_the_w3c_suite_is_read(vectors: Path) -> None:
    folder = vectors / "vc-jose-cose/tests/input"
    first, *disclosures, _ = text_of(folder / "credential-sdjwt-selective.txt").split("~")
    jws = read_jws(first)
    assert [key for key in keys_of(vectors) if is_signed_by(jws, key)]
    claims = disclosed_claims(read_claims(jws.payload), disclosures)
    assert claims["credentialSubject"]["lastName"] == "Doe"


def test_a_presentation_of_several_credentials_is_refused(vectors: Path) -> None:
    with pytest.raises(Refused):
        read_jwt_presentation(text_of(vectors / "vc-jose-cose/tests/input/presentation-jose-multiple.txt"))


# did:key.


async def test_keys_of_the_did_key_suite_are_resolved_or_refused(vectors: Path) -> None:
    supported = refused = 0
    dids = DidKeys(Web())
    for path in sorted((vectors / "did-key/test-vectors").glob("*.json")):
        for did, case in json_of(path).items():
            if not did.startswith(("did:key:zDn", "did:key:z82", "did:key:z6Mk")):
                with pytest.raises(HansaError):
                    await dids.key(did, None, "authentication", NOW_S)
                refused += 1
                continue
            key = await dids.key(did, None, "authentication", NOW_S)
            method = case.get("verificationMethod", case.get("verificationKeyPair", {}))
            if "publicKeyJwk" in method:
                assert key == key_of_jwk(method["publicKeyJwk"])
                supported += 1
    assert supported >= 3
    assert refused >= 4


# Status lists.


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_the_long_lists_of_the_status_list_draft_are_decoded(vectors: Path, bits: int) -> None:
    folder = vectors / "token-status-list"
    appendix = (folder / "appendix-test-vectors.md").read_text()
    section = appendix.partition(f"## {bits}-bit Status List")[2].partition("\n## ")[0]
    expected = {
        int(index): int(value, 2) for index, value in re.findall(r"status\[(\d+)\]\s*= 0b([01]+)", section)
    }
    name = re.findall(r"examples/(\S+json\.md)", section)[0]
    content = json.loads(text_of(folder / "examples" / name))
    assert content["bits"] == bits
    array = token_status_array(content["bits"], content["lst"])
    assert len(expected) > 5
    assert {index: array.at(index) for index in expected} == expected
    others = [index for index in range(0, 2**20, 997) if index not in expected]
    assert not any(array.at(index) for index in others)


def test_the_short_lists_of_the_status_list_draft_are_decoded(vectors: Path) -> None:
    for name, expected in (("", bytes((0xB9, 0xA3))), ("2", bytes((0xC9, 0x44, 0xF9)))):
        text = text_of(vectors / f"token-status-list/examples/status_list_encoding{name}_json.md")
        content = json.loads(text.partition("encoded:")[2])
        assert token_status_array(content["bits"], content["lst"]).content == expected


async def test_the_token_of_the_status_list_draft_is_unsigned_by_anybody_trusted(vectors: Path) -> None:
    token = text_of(vectors / "token-status-list/examples/status_list_jwt_raw.md")
    uri = "https://example.com/statuslists/1"
    verifying = Verifying(pages={uri: token})
    text = sd_jwt(sd_claims(status={"status_list": {"idx": 1, "uri": uri}}))
    refusal = await verifying.refusal(bound(text), is_presented=True)
    assert refusal.code is Code.CREDENTIAL_STATUS_UNKNOWN
    assert "no certificates" in refusal.steps[-1]


def test_bitstrings_of_others_are_decoded(interop: Path) -> None:
    empty = bitstring_status_array((interop / "status/w3c-rec-example3-encodedList.txt").read_text().strip())
    assert empty.content == bytes(16_384)
    name = "status/digitalbazaar-100k-50k-revoked-encodedList.txt"
    one = bitstring_status_array((interop / name).read_text().strip())
    assert [index for index in range(100_000) if one.at(index)] == [50_007]


# DOME and eudistack.


SHAPES: dict[str, tuple[dict[str, Any], str]] = {
    "eudistack-schemas/src/main/resources/schemas/LEARCredentialEmployee.jwt_vc_json.v1.json": (
        EMPLOYEE_1,
        "Employee",
    ),
    "eudistack-schemas/src/main/resources/schemas/LEARCredentialEmployee.jwt_vc_json.v2.json": (
        EMPLOYEE_1,
        "Employee",
    ),
    "eudistack-schemas/src/main/resources/schemas/LEARCredentialMachine.jwt_vc_json.v1.json": (
        MACHINE_1,
        "Machine",
    ),
    "dome-schemas/prd/trusted_schemas_list/learCredentialEmployeeSchema.json": (EMPLOYEE_1, "Employee"),
    "eudistack-issuer-profiles/src/test/resources/test-credential-profiles/learcredential.employee.w3c.4.json": (
        EMPLOYEE_2,
        "learcredential.employee.w3c.4",
    ),
    "dome-schemas/prd/trusted_schemas_list/learCredentialMachineSchema.json": (MACHINE_1, "Machine"),
}


@pytest.mark.parametrize("path", SHAPES)
def test_the_shapes_that_tests_use_are_those_of_the_published_schemas(vectors: Path, path: str) -> None:
    mandate, name = SHAPES[path]
    issuer: Any = {"id": "did:elsi:VATES-1", "organizationIdentifier": "VATES-1"}
    credential = {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "id": "urn:uuid:1",
        "type": ["VerifiableCredential", name if "." in name else f"LEARCredential{name}"],
        "issuer": "did:elsi:VATES-1" if "learCredentialEmployee" in path else issuer,
        "credentialSubject": {"id": "did:key:zDnae", "mandate": mandate},
        "issuanceDate": "2026-01-01T00:00:00Z",
        "validFrom": "2026-01-01T00:00:00Z",
        "expirationDate": "2027-01-01T00:00:00Z",
    }
    schema = json_of(vectors / path)
    errors = [error.message for error in jsonschema_rs.validator_for(schema).iter_errors(credential)]
    if path.endswith("v1.json") and "Employee" in path:
        errors = [error for error in errors if "issuer" not in error and "is not of type" not in error]
    assert errors == []
    assert MACHINE_SD["mandator"] == mandate["mandator"] or mandate is not MACHINE_1


@pytest.mark.parametrize("name", ["test-eseal.crt", "test-no-orgid.crt"])
def test_self_signed_seals_of_eudistack_are_refused(vectors: Path, name: str) -> None:
    path = vectors / f"eudistack-issuer-profiles/src/test/resources/certs/{name}"
    (raw,) = certificates_of_pem(path.read_bytes())
    with pytest.raises(Refused):
        verify_chain([raw], [read_certificate(SEAL.der)], 1_774_000_000)
