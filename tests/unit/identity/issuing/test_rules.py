"""What settings change about issuing: formats, and how the issuer is named."""

from __future__ import annotations

import base64
from pathlib import Path

import msgspec
import pytest
from cryptography import x509

from hansa.core.errors import Code, Refused
from hansa.identity.credentials.signing_keys import PlainKey
from hansa.identity.issuing import IssuingRules, issuer_metadata
from tests.support.certificates import new_key
from tests.support.credentials import decoded, jwt
from tests.support.issuing import EMPLOYEE_JWT, EMPLOYEE_SD, ENDPOINT, ORDER, Issuing

KEY = new_key()


async def test_formats_that_are_not_issued_are_neither_offered_nor_named(tmp_path: Path) -> None:
    issuing = Issuing(tmp_path, rules=IssuingRules(forms=("dc+sd-jwt",)))
    document = await issuing.issuer.offer_document((await issuing.offer()).reference)
    assert document["credential_configuration_ids"] == [EMPLOYEE_SD]
    token = await issuing.token()
    refusal = await issuing.refusal(token, issuing.proof(KEY), configuration=EMPLOYEE_JWT)
    assert refusal == "unknown_credential_configuration"
    supported = issuer_metadata(ENDPOINT, "lubeck", issuing.rules)["credential_configurations_supported"]
    assert {one["format"] for one in supported.values()} == {"dc+sd-jwt"}
    with pytest.raises(Refused):
        await issuing.offer(msgspec.structs.replace(ORDER, forms=("jwt_vc_json",)))


async def test_the_address_of_the_issuer_names_it_where_the_rules_say_so(tmp_path: Path) -> None:
    by_did = Issuing(tmp_path)
    assert decoded((await by_did.issued()).split(".")[1])["iss"] == "did:elsi:VATES-12345678"
    issuing = Issuing(tmp_path, rules=IssuingRules(sd_jwt_issuer="address"))
    text = await issuing.issued()
    assert decoded(text.split(".")[1])["iss"] == ENDPOINT
    verified = await issuing.verified(text)
    assert verified.issuer.id == "did:elsi:VATES-12345678"
    raw = base64.b64decode(decoded(text.split(".")[0])["x5c"][0])
    names = x509.load_der_x509_certificate(raw).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert names.value.get_values_for_type(x509.DNSName) == ["lubeck.example"]
    assert names.value.get_values_for_type(x509.UniformResourceIdentifier) == [ENDPOINT]
    other = await issuing.issued(EMPLOYEE_JWT)
    assert decoded(other.split(".")[1])["iss"] == "did:elsi:VATES-12345678"
    assert (await issuing.verified(other)).issuer.id == "did:elsi:VATES-12345678"


async def test_a_credential_that_names_another_address_than_its_certificate_is_refused(
    tmp_path: Path,
) -> None:
    issuing = Issuing(tmp_path, rules=IssuingRules(sd_jwt_issuer="address"))
    seal = issuing.authority.seal("VATES-12345678", "GoodAir", "ES")
    text = await issuing.issued()
    header, claims = decoded(text.split(".")[0]), decoded(text.split(".")[1])
    assert isinstance(seal.key, PlainKey)
    forged = jwt(seal.key.private, claims | {"iss": "https://other.example"}, **header) + "~"
    with pytest.raises(Refused) as refused:
        await issuing.verified(forged)
    assert refused.value.code is Code.CREDENTIAL_ISSUER_UNTRUSTED
