"""Who issued a credential, and whether that one may: every way to pretend is refused with its code."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509

from hansa.core.errors import Code
from hansa.core.keys import SigningKey
from hansa.core.trust.issuers import AllowedClaim, CredentialGrant, TrustedIssuer
from hansa.identity.credentials import read_anchors, read_issuers
from tests.support.certificates import (
    NOW,
    YEAR,
    Issued,
    Usages,
    authority,
    issue,
    name,
    new_key,
)
from tests.support.credentials import (
    DAY_S,
    EMPLOYEE,
    HOLDER,
    ISSUER,
    NOW_S,
    ROOT,
    SEAL,
    THIEF,
    Verifying,
    did_jwk,
    did_key,
    grant,
    jwk,
    jwt,
    jwt_vc,
    jwt_vp,
    lear,
    mandate,
    mandating,
    sd_claims,
    sd_jwt,
    seal,
    x5c,
)

LEAF_IS_CA = issue(
    name("GoodAir eSeal", "VATES-12345678"),
    new_key(),
    ROOT,
    extensions=[
        (x509.BasicConstraints(ca=True, path_length=None), True),
        (Usages(digital_signature=True, key_cert_sign=True).extension(), True),
    ],
)
SHORT = authority("Short CA", path_length=0)
BELOW_SHORT = authority("Below", SHORT)


def with_chain(leaf: Issued, *above: Issued) -> str:
    return jwt(leaf.key, lear(), x5c=x5c(leaf, *above))


SELF_SIGNED = seal(None)
FORGED_ROOT = authority()
UNTRUSTED_CHAINS: dict[str, str] = {
    "self-signed, with the right organizationIdentifier": with_chain(SELF_SIGNED),
    "under an authority that only has the name of the anchor": with_chain(seal(FORGED_ROOT), FORGED_ROOT),
    "under an authority that only has the name of the anchor, left out": with_chain(seal(FORGED_ROOT)),
    "under an unknown anchor": with_chain(seal(authority("Unknown CA"))),
    "a leaf that is for encryption": with_chain(seal(ROOT, usages=Usages(key_encipherment=True))),
    "a leaf that is for documents alone": with_chain(seal(ROOT, usages=Usages(content_commitment=True))),
    "a leaf without key usage": with_chain(
        issue(
            name("GoodAir", "VATES-12345678"),
            new_key(),
            ROOT,
            extensions=[_ := (x509.BasicConstraints(False, None), True)],
        )
    ),
    "an authority used as leaf": with_chain(LEAF_IS_CA),
    "the anchor used as leaf": with_chain(ROOT),
    "a leaf used as authority": with_chain(seal(SEAL), SEAL),
    "a path that is longer than allowed": jwt(
        (leaf := seal(BELOW_SHORT)).key, lear(), x5c=x5c(leaf, BELOW_SHORT)
    ),
    "an expired leaf": with_chain(seal(ROOT, begin=NOW - YEAR, end=NOW - timedelta(minutes=6))),
    "a leaf that is not valid yet": with_chain(seal(ROOT, begin=NOW + timedelta(minutes=6))),
    "a leaf of another organisation": with_chain(seal(ROOT, "VATES-87654321")),
    "a leaf without an organisation": with_chain(seal(ROOT, None)),
    "no certificate": jwt(SEAL.key, lear()),
    "an empty list": jwt(SEAL.key, lear(), x5c=[]),
    "no list": jwt(SEAL.key, lear(), x5c="MII"),
    "no certificate at all in it": jwt(SEAL.key, lear(), x5c=["AAAA"]),
    "an address of certificates": jwt(SEAL.key, lear(), x5u="https://attacker.example/chain.pem"),
    "a key in the header": jwt(THIEF, lear(), jwk=jwk(THIEF)),
}


@pytest.mark.parametrize("case", UNTRUSTED_CHAINS)
async def test_a_chain_that_shows_nothing_is_refused(case: str) -> None:
    anchors = (ROOT, SHORT)
    trusting = Verifying(anchors=anchors)
    assert await trusting.code(UNTRUSTED_CHAINS[case]) is Code.CREDENTIAL_ISSUER_UNTRUSTED
    listed = Verifying(grant(EMPLOYEE), anchors=anchors)
    assert await listed.code(UNTRUSTED_CHAINS[case]) is Code.CREDENTIAL_ISSUER_UNTRUSTED
    assert trusting.web.requests == listed.web.requests == []


async def test_a_seal_under_an_anchor_shows_the_organisation() -> None:
    credential = await Verifying().credential(jwt_vc())
    assert (credential.issuer.id, credential.issuer.proof) == (ISSUER, "certificate")
    assert credential.mandate is not None
    assert credential.mandate.organization.identifier == "VATES-12345678"


@pytest.mark.parametrize("kind", ["P-256", "P-384", "Ed25519", "2048"])
async def test_every_kind_of_seal_signs_credentials(kind: str) -> None:
    leaf = seal(ROOT, key=new_key(kind))
    assert (await Verifying().credential(jwt_vc(issuer=leaf))).issuer.id == ISSUER
    assert (await Verifying().credential(sd_jwt(issuer=leaf))).issuer.id == ISSUER


async def test_a_seal_that_signs_with_pss_is_accepted() -> None:
    leaf = seal(ROOT, key=new_key("2048"))
    assert (await Verifying().credential(jwt_vc(issuer=leaf, alg="PS256"))).issuer.id == ISSUER


async def test_a_chain_over_an_intermediate_authority_and_with_its_anchor_is_accepted() -> None:
    middle = authority("Middle CA", ROOT)
    leaf = seal(middle)
    for chain in ((leaf, middle), (leaf, middle, ROOT)):
        text = jwt(leaf.key, lear(), x5c=x5c(*chain))
        assert (await Verifying().credential(text)).issuer.id == ISSUER


@pytest.mark.parametrize("minutes", [-4, 4])
async def test_a_clock_that_is_four_minutes_off_locks_no_certificate_out(minutes: int) -> None:
    edge = NOW if minutes > 0 else NOW + YEAR
    leaf = seal(ROOT, begin=NOW - YEAR, end=NOW) if minutes > 0 else seal(ROOT, begin=NOW, end=edge)
    verifying = Verifying(offset_s=60 * minutes)
    assert (await verifying.credential(jwt_vc(issuer=leaf))).issuer.id == ISSUER
    late = Verifying(offset_s=90 * minutes)
    assert await late.code(jwt_vc(issuer=leaf)) is Code.CREDENTIAL_ISSUER_UNTRUSTED


ALTERED = {
    "signed by another key than that of the certificate": jwt(THIEF, lear(), x5c=x5c(SEAL)),
    "its content was changed": ".".join(
        [jwt_vc().split(".")[0], jwt_vc(lear(id="urn:uuid:0")).split(".")[1], jwt_vc().split(".")[2]]
    ),
    "its signature is nothing but zeros": jwt_vc().rpartition(".")[0] + "." + "A" * 86,
    "its signature is empty": jwt_vc().rpartition(".")[0] + ".",
    "another algorithm of the same size": jwt(SEAL.key, lear(), x5c=x5c(SEAL), alg="EdDSA"),
    "an algorithm of another kind of key": jwt(SEAL.key, lear(), x5c=x5c(SEAL), alg="RS256"),
}


@pytest.mark.parametrize("case", ALTERED)
async def test_what_the_issuer_did_not_sign_is_refused(case: str) -> None:
    assert await Verifying().code(ALTERED[case]) is Code.CREDENTIAL_ALTERED


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "HS256", "HS512", "ES512", "ES256K", "", None, 1, ["ES256"]]
)
async def test_no_algorithm_turns_a_key_into_something_else(algorithm: Any) -> None:
    text = jwt(SEAL.key, lear(), x5c=x5c(SEAL), alg=algorithm)
    unsigned = text.rpartition(".")[0] + "."
    for attempt in (text, unsigned):
        assert await Verifying().code(attempt) is Code.CREDENTIAL_MALFORMED


async def test_a_signature_of_padded_numbers_is_no_signature() -> None:
    head, _, signature = jwt_vc().rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    padded = b"\0" + raw[:32] + b"\0" + raw[32:]
    text = f"{head}.{base64.urlsafe_b64encode(padded).rstrip(b'=').decode()}"
    assert await Verifying().code(text) is Code.CREDENTIAL_ALTERED


# The registry of trusted issuers.


async def test_an_issuer_with_a_grant_is_trusted_and_one_without_is_not() -> None:
    assert (await Verifying(grant(EMPLOYEE)).credential(jwt_vc())).issuer.id == ISSUER
    for issuers in (
        grant("LEARCredentialMachine"),
        grant(EMPLOYEE, end_s=NOW_S - 301),
        grant(EMPLOYEE, begin_s=NOW_S + 301),
    ):
        assert await Verifying(issuers).code(jwt_vc()) is Code.CREDENTIAL_TYPE_UNTRUSTED
    other = TrustedIssuer((CredentialGrant(0, EMPLOYEE, 2**32),), "did:elsi:VATES-87654321")
    assert await Verifying(other).code(jwt_vc()) is Code.CREDENTIAL_ISSUER_UNTRUSTED


async def test_a_type_that_is_granted_does_not_carry_one_that_is_not() -> None:
    both = jwt_vc(lear(type=["VerifiableCredential", EMPLOYEE, "HarmlessCredential"]))
    assert await Verifying(grant("HarmlessCredential")).code(both) is Code.CREDENTIAL_TYPE_UNTRUSTED
    assert await Verifying(grant(EMPLOYEE)).code(both) is Code.CREDENTIAL_TYPE_UNTRUSTED
    assert (await Verifying(grant(EMPLOYEE, "HarmlessCredential")).credential(both)).mandate is not None


def limited(*claims: AllowedClaim) -> Verifying:
    return Verifying(grant(EMPLOYEE, claims=claims))


async def test_a_grant_of_claims_holds_for_names_and_values() -> None:
    domain = AllowedClaim("mandate", "$.mandate.power[*].domain", ("DOME",))
    assert (await limited(domain).credential(jwt_vc())).issuer.id == ISSUER
    assert (await limited(AllowedClaim("mandate")).credential(jwt_vc())).issuer.id == ISSUER
    other = AllowedClaim("mandate", "$.mandate.power[*].domain", ("ISBE",))
    owner = AllowedClaim("mandate", "$['mandate'].mandator.organizationIdentifier", ("VATES-1",))
    unknown = AllowedClaim("roles")
    for claim in (other, owner, unknown, AllowedClaim("mandate", "$..power[?@.domain]", ("DOME",))):
        assert await limited(claim).code(jwt_vc()) is Code.CREDENTIAL_TYPE_UNTRUSTED
    assert (await limited(owner, domain).refusal(jwt_vc())).code is Code.CREDENTIAL_TYPE_UNTRUSTED


async def test_types_that_the_operator_names_are_trusted_by_the_anchor_alone() -> None:
    pid = sd_jwt(sd_claims(vct="urn:eudi:pid:1", mandate=None))
    other = grant("Other")
    assert await Verifying(other).code(pid) is Code.CREDENTIAL_TYPE_UNTRUSTED
    assert (await Verifying(other, anchored_types=["urn:eudi:pid:1"]).credential(pid)).mandate is None
    mixed = jwt_vc(lear(type=["VerifiableCredential", "urn:eudi:pid:1", EMPLOYEE]))
    assert (
        await Verifying(other, anchored_types=["urn:eudi:pid:1"]).code(mixed)
        is Code.CREDENTIAL_TYPE_UNTRUSTED
    )


async def test_keys_of_the_registry_are_the_only_ones_of_an_issuer() -> None:
    key, other = SigningKey.generate(), SigningKey.generate("Ed25519")
    issuer = TrustedIssuer((CredentialGrant(0, EMPLOYEE, 2**32),), ISSUER, keys=(other.public, key.public))
    verifying = Verifying(issuer)
    for one, kid in ((key, key.kid), (key, f"{ISSUER}#{key.kid}"), (other, None)):
        private = one._key.private_key
        assert (await verifying.credential(jwt(private, lear(), kid=kid))).issuer.proof == "registry"
    assert await verifying.code(jwt_vc()) is Code.CREDENTIAL_ALTERED
    assert await verifying.code(jwt(THIEF, lear(), kid=key.kid)) is Code.CREDENTIAL_ALTERED
    assert await verifying.code(jwt(other._key.private_key, lear(), kid=key.kid)) is Code.CREDENTIAL_ALTERED


# Mandates of others.


def mandated(organization: str = "VATES-87654321") -> str:
    return jwt_vc(
        lear(credentialSubject={"id": did_key(HOLDER), "mandate": mandate(organization=organization)})
    )


async def test_a_seal_gives_no_mandate_in_the_name_of_another_organisation() -> None:
    for verifying in (Verifying(), Verifying(grant(EMPLOYEE)), limited(AllowedClaim("mandate"))):
        assert await verifying.code(mandated()) is Code.CREDENTIAL_TYPE_UNTRUSTED
    anchored = Verifying(grant("Other"), anchored_types=[EMPLOYEE])
    assert await anchored.code(mandated()) is Code.CREDENTIAL_TYPE_UNTRUSTED
    assert (await anchored.credential(jwt_vc())).mandate is not None
    sd = sd_jwt(sd_claims(mandate=mandate(organization="VATES-87654321")))
    assert await Verifying().code(sd) is Code.CREDENTIAL_TYPE_UNTRUSTED


async def test_an_issuer_of_mandates_for_others_has_a_grant_that_says_so() -> None:
    path = "$.mandate.mandator.organizationIdentifier"
    anybody, one = AllowedClaim("any", path), AllowedClaim("one", path, ("VATES-87654321",))
    for claim in (anybody, one):
        credential = await limited(claim).credential(mandated())
        assert credential.mandate is not None
        assert credential.mandate.organization.identifier == "VATES-87654321"
    assert await limited(one).code(mandated("VATES-11111111")) is Code.CREDENTIAL_TYPE_UNTRUSTED
    assert await limited(one).code(jwt_vc()) is Code.CREDENTIAL_TYPE_UNTRUSTED


# Issuers with other DIDs.


def issued_by(did: str, key: Any, **header: Any) -> str:
    claims = lear(issuer=did) | {"iss": did}
    return jwt(key, claims, **header)


@pytest.mark.parametrize("did_of", [did_key, did_jwk])
async def test_a_did_is_trusted_by_the_registry_alone(did_of: Any) -> None:
    key = new_key()
    did = did_of(key)
    text = issued_by(did, key)
    trusted = mandating(did)
    assert (await Verifying(trusted).credential(text)).issuer.proof == "did"
    assert await Verifying().code(text) is Code.CREDENTIAL_ISSUER_UNTRUSTED
    assert await Verifying(grant(EMPLOYEE)).code(text) is Code.CREDENTIAL_ISSUER_UNTRUSTED
    assert await Verifying(trusted).code(issued_by(did, THIEF)) is Code.CREDENTIAL_ALTERED
    for kid in (f"{did_of(THIEF)}#0", did_of(THIEF), f"{did}#other"):
        assert await Verifying(trusted).code(issued_by(did, key, kid=kid)) is Code.CREDENTIAL_ISSUER_UNTRUSTED


async def test_a_certificate_does_not_make_a_key_that_of_a_did() -> None:
    did = did_key(new_key())
    trusted = mandating(did)
    text = issued_by(did, SEAL.key, x5c=x5c(SEAL))
    assert await Verifying(trusted).code(text) is Code.CREDENTIAL_ISSUER_UNTRUSTED
    own = did_key(SEAL.key)
    trusted = mandating(own)
    assert (await Verifying(trusted).credential(issued_by(own, SEAL.key, x5c=x5c(SEAL)))).issuer.id == own


def san(*names: x509.GeneralName) -> tuple[x509.ExtensionType, bool]:
    return x509.SubjectAlternativeName(names), False


@pytest.mark.parametrize("address", ["https://issuer.example", "https://issuer.example/pid"])
async def test_an_address_is_that_of_the_certificate_or_the_certificate_names_none(address: str) -> None:
    text = {"iss": address, "vct": "urn:eudi:pid:1", "mandate": None}
    silent = sd_jwt(sd_claims(**text))
    assert (await Verifying().credential(silent)).issuer.id == ISSUER
    named = seal(ROOT, further=[san(x509.DNSName("issuer.example"))])
    assert (await Verifying().credential(sd_jwt(sd_claims(**text), issuer=named))).issuer.id == ISSUER
    other = seal(
        ROOT, further=[san(x509.DNSName("other.example"), x509.UniformResourceIdentifier("https://x.y"))]
    )
    code = await Verifying().code(sd_jwt(sd_claims(**text), issuer=other))
    assert code is Code.CREDENTIAL_ISSUER_UNTRUSTED


async def test_a_credential_that_names_no_issuer_is_that_of_its_certificate() -> None:
    assert (await Verifying().credential(sd_jwt(sd_claims(iss=None)))).issuer.id == ISSUER
    assert await Verifying().code(sd_jwt(sd_claims(iss=None), x5c=None)) is Code.CREDENTIAL_ISSUER_UNTRUSTED


async def test_a_mandate_is_one_of_the_organisation_that_it_says() -> None:
    two = mandate(mandator={"id": "did:elsi:VATES-1", "organizationIdentifier": "VATES-12345678"})
    text = jwt_vc(lear(credentialSubject={"id": did_key(HOLDER), "mandate": two}))
    assert await Verifying().code(text) is Code.CREDENTIAL_MALFORMED


# Files of the operator.


def test_anchors_of_a_folder_are_all_read_or_none(tmp_path: Any) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding

    (tmp_path / "a.pem").write_bytes(ROOT.certificate.public_bytes(Encoding.PEM))
    (tmp_path / "b.crt").write_bytes(authority("B").der)
    (tmp_path / "c.txt").write_text("a note")
    assert len(read_anchors(tmp_path)) == 2
    for content in (b"no certificate", SEAL.der):
        (tmp_path / "d.pem").write_bytes(content)
        with pytest.raises(Exception, match=r"d\.pem"):
            read_anchors(tmp_path)


@pytest.mark.parametrize("form", ["one", "list", "lines"])
def test_trusted_issuers_are_read_in_every_form(form: str) -> None:
    row = '{"credentials":[{"from_s":0,"type":"A","until_s":9}],"did":"did:web:x.example"}'
    forms: Mapping[str, str] = {"one": row, "list": f"[{row},{row}]", "lines": f"{row}\n{row}\n"}
    issuers = read_issuers(forms[form].encode())
    assert {one.did for one in issuers} == {"did:web:x.example"}
    with pytest.raises(Exception, match="trusted issuers"):
        read_issuers(forms[form].replace("until_s", "until").encode())


async def test_the_person_reads_a_sentence_and_the_operator_every_step() -> None:
    text = jwt_vc(lear() | {"exp": NOW_S - DAY_S})
    refusal = await Verifying(grant(EMPLOYEE)).refusal(text)
    assert refusal.message == "This credential has expired: ask its issuer for a new one."
    assert [step.partition(" ")[0] for step in refusal.steps] == [
        "a",
        "issuer",
        "the",
        ISSUER,
        "credential-expired:",
    ]
    hostile = jwt_vc(lear(type=["VerifiableCredential", "Evil\nCredential"]))
    assert all("\n" not in step for step in (await Verifying().refusal(hostile)).steps)


async def test_a_presentation_is_no_credential_and_a_credential_no_presentation() -> None:
    assert await Verifying().code(jwt_vp(jwt_vc())) is Code.CREDENTIAL_MALFORMED
    assert await Verifying().code(jwt_vc(), is_presented=True) is Code.CREDENTIAL_MALFORMED
