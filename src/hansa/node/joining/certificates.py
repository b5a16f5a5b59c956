"""A certificate for the key of a marketplace with a did:elsi: requested, and put beside the key.

The private key never leaves the folder: an authority gets a request (PKCS #10, RFC 2986), and what it issues
goes into the candidacy that a member proposes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.x509.oid import NameOID

from hansa.core.base64url import to_base64url
from hansa.core.certificates import organization_identifier_of, read_certificate
from hansa.core.certificates.algorithms import SignatureAlgorithm, is_signature
from hansa.core.errors import Code, Refused
from hansa.core.files import is_missing, read_file, write_file
from hansa.core.governance.possession import CANDIDACY, Certification, sealed_bytes
from hansa.core.keys import SigningKey, raw_public_key
from hansa.core.trust.certificates import certificate_text
from hansa.node.folder import CARD, MEMBER_KEY, next_member_key, read_card
from hansa.node.joining.candidacy import candidacy_of
from hansa.node.joining.joining import CANDIDACY_FILE


def certificate_request(folder: Path, organization: str, country: str, *, is_next: bool = False) -> bytes:
    """A request for a certificate for the member's key, PEM.

    Args:
        folder: Of the marketplace.
        organization: Its registered name.
        country: Two letters (ISO 3166).
        is_next: For the key that is to take the place of the present one, which is made if there is none.

    Raises:
        Refused: `Code.INVALID`, when its DID is no did:elsi, or a name cannot be in a certificate.
    """
    attributes = [
        (NameOID.COUNTRY_NAME, country),
        (NameOID.ORGANIZATION_NAME, organization),
        (NameOID.ORGANIZATION_IDENTIFIER, _identifier(folder)),
        (NameOID.COMMON_NAME, f"{organization} eSeal"[:64]),
    ]
    try:
        subject = x509.Name([x509.NameAttribute(oid, text) for oid, text in attributes])
    except ValueError as error:
        raise Refused(Code.INVALID, f"This cannot be in a certificate: {error}.") from error
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    key = next_member_key(folder) if is_next else SigningKey.load(folder / MEMBER_KEY)
    return key.certificate_request(builder)


def candidacy_seal_input(folder: Path, algorithm: str) -> bytes:
    """What the seal of a legal person signs to say that the key of a candidate is its own.

    Raises:
        Refused: `Code.NOT_FOUND`, when there is no candidacy; `Code.INVALID`, when its DID is no did:elsi.
    """
    _identifier(folder)
    did, key = read_card(folder / CARD).member.did, SigningKey.load(folder / MEMBER_KEY)
    return sealed_bytes(did, key.public, _candidacy_league(folder), algorithm)


def _candidacy_league(folder: Path) -> str:
    path = folder / CANDIDACY_FILE
    if is_missing(path):
        raise Refused(Code.NOT_FOUND, f"{folder} has no candidacy; `hansa join` makes one.")
    return CANDIDACY.read(read_file(path).decode("ascii", "replace").strip())[0].league


def certification_of(
    key: SigningKey, did: str, league: str, chain: Sequence[bytes], seal: bytes | None, algorithm: str
) -> Certification:
    """What shows whose a key is.

    Args:
        key: Of a member, or a candidate.
        did: Its DID.
        league: Identifier of the league.
        chain: DER; the certificate of the key, or of the seal, first.
        seal: Signature of the seal; None when the certificate is the key's own.
        algorithm: Of the seal.

    Raises:
        Refused: `Code.CERTIFICATE_INVALID`, when the certificate is of another key, or the seal did not sign
            that the key is its owner's.
    """
    certified = read_certificate(chain[0]).key
    x5c = tuple(map(certificate_text, chain))
    if seal is None:
        if certified.kind == "RSA":
            raise Refused(
                Code.CERTIFICATE_INVALID,
                "The certificate is of a seal with an RSA key, which signs nothing on the ledger. Have the seal sign that "
                "this marketplace's key is its owner's: hansa keys seal, then hansa keys certify --seal.",
            )
        if certified.raw != raw_public_key(key.public):
            raise Refused(Code.CERTIFICATE_INVALID, f"The first certificate is not for the key {key.kid}.")
        return Certification(x5c)
    text = to_base64url(seal)
    kind: Literal["PSS", "PKCS1"] = "PSS" if algorithm == "PS256" else "PKCS1"
    signed = sealed_bytes(did, key.public, league, algorithm)
    if not is_signature(certified, SignatureAlgorithm(kind, "SHA256"), signed, seal):
        raise Refused(
            Code.CERTIFICATE_INVALID,
            "The signature is not by the key of the first certificate over what `hansa keys seal` writes, as it is written "
            "for this algorithm.",
        )
    return Certification(x5c, text, algorithm)


def certify_candidacy(
    folder: Path, chain: Sequence[bytes], signed_at_s: int, seal: bytes | None = None, algorithm: str = ""
) -> Path:
    """Put the certificate of the member's key into a candidacy that no member has proposed yet.

    Args:
        folder: Of a marketplace that joins a league.
        chain: DER; the certificate of its key, or of the seal, first, the trust anchor not among them.
        seal: Signature of the seal; None when the certificate is the key's own.
        algorithm: Of the seal.
        signed_at_s: The claimed signing time, seconds since 1970.

    Raises:
        Refused: `Code.NOT_FOUND`, when there is no candidacy; `Code.CERTIFICATE_INVALID`, when the first
            certificate is not one for this key and this organization.
    """
    path, identifier = folder / CANDIDACY_FILE, _identifier(folder)
    league, card = _candidacy_league(folder), read_card(folder / CARD)
    key = SigningKey.load(folder / MEMBER_KEY)
    certification = certification_of(key, card.member.did, league, chain, seal, algorithm)
    leaf = read_certificate(chain[0])
    if leaf.subject.organization_identifier != identifier:
        raise Refused(
            Code.CERTIFICATE_INVALID,
            f"The certificate is for {leaf.subject.organization_identifier}, and not for {identifier}.",
        )
    candidacy = candidacy_of(folder, card, league, signed_at_s, certification)
    write_file(path, candidacy.encode("ascii") + b"\n")
    return path


def _identifier(folder: Path) -> str:
    did = read_card(folder / CARD).member.did
    identifier = organization_identifier_of(did)
    if identifier is None:
        raise Refused(
            Code.INVALID,
            f"{did} is no did:elsi with an organization identifier; only such have certificates.",
        )
    return identifier
