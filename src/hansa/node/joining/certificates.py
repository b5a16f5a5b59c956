"""A certificate for the key of a marketplace with a did:elsi: requested, and put beside the key.

The private key never leaves the folder: an authority gets a request (PKCS #10, RFC 2986), and what it issues
goes into the candidacy that a member proposes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

from hansa.core.certificates import organization_identifier_of, read_certificate
from hansa.core.errors import Code, Refused
from hansa.core.files import is_missing, read_file, write_file
from hansa.core.governance.possession import CANDIDACY
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


def certify_candidacy(folder: Path, chain: Sequence[bytes], signed_at_s: int) -> Path:
    """Put the certificate of the member's key into a candidacy that no member has proposed yet.

    Args:
        folder: Of a marketplace that joins a league.
        chain: DER; the certificate of its key first, the trust anchor not among them.
        signed_at_s: The claimed signing time, seconds since 1970.

    Raises:
        Refused: `Code.NOT_FOUND`, when there is no candidacy; `Code.CERTIFICATE_INVALID`, when the first
            certificate is not one for this key and this organization.
    """
    path, identifier = folder / CANDIDACY_FILE, _identifier(folder)
    if is_missing(path):
        raise Refused(Code.NOT_FOUND, f"{folder} has no candidacy; `hansa join` makes one.")
    leaf = read_certificate(chain[0])
    if leaf.key.raw != raw_public_key(SigningKey.load(folder / MEMBER_KEY).public):
        raise Refused(
            Code.CERTIFICATE_INVALID, f"The first certificate is not for the key in {folder / MEMBER_KEY}."
        )
    if leaf.subject.organization_identifier != identifier:
        raise Refused(
            Code.CERTIFICATE_INVALID,
            f"The certificate is for {leaf.subject.organization_identifier}, and not for {identifier}.",
        )
    before, _ = CANDIDACY.read(read_file(path).decode("ascii", "replace").strip())
    x5c = tuple(map(certificate_text, chain))
    candidacy = candidacy_of(folder, read_card(folder / CARD), before.league, signed_at_s, x5c)
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
