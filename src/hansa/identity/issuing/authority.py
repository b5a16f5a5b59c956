"""The authority of an issuer for development, and the seals of the organisations that it issues for.

A mandate is given by its mandator, so each organisation has a seal of its own: a key, and a certificate of
the authority with the organisation's identifier (2.5.4.97, ETSI EN 319 412-1). A verifier trusts them all by
one anchor, the authority's certificate.

    issuing/authority.pem        certificate, to be copied to `anchors/` of whoever shall believe it
    issuing/authority.jwk        its key
    issuing/seals/ORGANISATION.pem, .jwk

Everything is made when it is needed first, and readable by its owner alone. A seal is renewed, with another
key, when its certificate would not outlive a credential, or does not name the address by which credentials
name their issuer. An organisation that has a qualified seal of a trust
service issues its mandates itself, and needs none of this.
"""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from hansa.core.certificates.making import begun_certificate, key_usage
from hansa.core.clock import Clock
from hansa.core.errors import Code, Fatal, Refused
from hansa.core.files import RESTORE_IT, is_missing, read_file, write_failure, write_file
from hansa.core.identifiers import Entropy
from hansa.identity.credentials.signing_keys import CredentialKey, PlainKey

AUTHORITY_CERTIFICATE: Final = "authority.pem"
AUTHORITY_LIFE: Final = timedelta(days=20 * 365)
SEAL_LIFE: Final = timedelta(days=3 * 365)
SEAL_REMAINING_MIN: Final = timedelta(days=400)
"""A seal whose certificate ends sooner is renewed: no credential is valid for longer than a year."""
SEAL_RENEWED_BEFORE_END: Final = timedelta(days=30)
SEALS_MAX: Final = 1024
"""Of organisations, in memory; more are read from their files again."""
_COMMON_NAME_MAX_CHARS: Final = 64
_NO_REVOCATION: Final = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.56"), b"\x05\x00")
"""The authority says nowhere which of its certificates are revoked (RFC 9608, noRevAvail)."""
_CLOCK_ALLOWANCE: Final = timedelta(hours=1)


class Seal(msgspec.Struct, frozen=True):
    """With what an organisation signs."""

    organization: str
    """Identifier, as `VATES-12345678`."""
    key: CredentialKey
    certificate: bytes
    """DER."""
    end: datetime
    """Of the certificate."""

    @property
    def chain(self) -> list[str]:
        """The certificate as `x5c` has it; the anchor is left out (HAIP 1.0, section 6.1.1)."""
        return [base64.b64encode(self.certificate).decode("ascii")]


class DevelopmentAuthority:
    """Certifies the seals of organisations. For development: whoever can read its key can be anybody.

    Args:
        folder: Of its files; made when it is not there.
        name: Of the marketplace, for people.
        clock: For the times in certificates.
        entropy: For serial numbers.
        address: That the certificates of seals name; empty: none.
    """

    def __init__(self, folder: Path, name: str, clock: Clock, entropy: Entropy, address: str = "") -> None:
        self._folder = folder
        self._name = name
        self._clock = clock
        self._entropy = entropy
        self._address = address
        self._seals: dict[str, Seal] = {}

    def certificate(self) -> bytes:
        """The certificate of the authority, which is the anchor of everything it certifies; DER.

        Raises:
            Fatal: `Code.SETTINGS_INVALID`, when its files cannot be read or written.
        """
        return self._authority()[1].public_bytes(Encoding.DER)

    def seal(self, organization: str, name: str, country: str) -> Seal:
        """The seal of an organisation.

        Args:
            organization: Identifier, well-formed.
            name: Of the organisation.
            country: Two letters.

        Raises:
            Fatal: `Code.SETTINGS_INVALID`, when its files cannot be read or written.
        """
        seal = self._stored(organization)
        is_old = seal is not None and seal.end - self._clock.now() < SEAL_REMAINING_MIN
        if seal is None or is_old or not names_address(seal.certificate, self._address):
            seal = self._new_seal(organization, _subject(organization, name, country))
        return seal

    def present_seal(self, organization: str) -> Seal:
        """The seal that an organisation has already; renewed when its certificate is about to end.

        Raises:
            Fatal: `Code.SETTINGS_INVALID`, when its files are missing, or cannot be read or written.
        """
        seal = self._stored(organization)
        if seal is None:
            path = self._path(organization)
            raise Fatal(Code.SETTINGS_INVALID, f"{path} is missing. {RESTORE_IT}")
        if seal.end - self._clock.now() < SEAL_RENEWED_BEFORE_END:
            subject = x509.load_der_x509_certificate(seal.certificate).subject
            seal = self._new_seal(organization, subject)
        return seal

    def _path(self, organization: str) -> Path:
        return self._folder / "seals" / f"{organization}.pem"

    def _stored(self, organization: str) -> Seal | None:
        seal, path = self._seals.get(organization), self._path(organization)
        if seal is None and not is_missing(path):
            seal = self._remembered(organization, *_read(path))
        return seal

    def _remembered(self, organization: str, key: PlainKey, certificate: x509.Certificate) -> Seal:
        if len(self._seals) >= SEALS_MAX:
            self._seals.clear()
        raw, end = certificate.public_bytes(Encoding.DER), certificate.not_valid_after_utc
        seal = self._seals[organization] = Seal(organization, key, raw, end)
        return seal

    def _new_seal(self, organization: str, subject: x509.Name) -> Seal:
        authority, issuer = self._authority()
        key = PlainKey.generate()
        certificate = self._certified(subject, key, issuer.subject, authority, SEAL_LIFE, is_authority=False)
        self._write(self._path(organization), key, certificate)
        return self._remembered(organization, key, certificate)

    def _authority(self) -> tuple[PlainKey, x509.Certificate]:
        path = self._folder / AUTHORITY_CERTIFICATE
        if not is_missing(path):
            return _read(path)
        key = PlainKey.generate()
        common_name = f"{self._name}: issuer for development"[:_COMMON_NAME_MAX_CHARS]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        certificate = self._certified(subject, key, subject, key, AUTHORITY_LIFE, is_authority=True)
        self._write(path, key, certificate)
        return key, certificate

    def _certified(
        self,
        subject: x509.Name,
        key: PlainKey,
        issuer: x509.Name,
        issuer_key: PlainKey,
        life: timedelta,
        *,
        is_authority: bool,
    ) -> x509.Certificate:
        begin = self._clock.now() - _CLOCK_ALLOWANCE
        uses = ("key_cert_sign", "crl_sign") if is_authority else ("digital_signature", "content_commitment")
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public)
        builder = (
            begun_certificate(
                *(subject, issuer, key.public, begin, begin + life, self._entropy), is_authority=is_authority
            )
            .add_extension(key_usage(*uses), critical=True)
            .add_extension(identifier, critical=False)
        )
        if not is_authority:
            builder = builder.add_extension(_NO_REVOCATION, critical=False)
        if self._address and not is_authority:
            builder = builder.add_extension(_alternative_names(self._address), critical=False)
        return builder.sign(issuer_key.private, SHA256())

    def _write(self, path: Path, key: PlainKey, certificate: x509.Certificate) -> None:
        """The key first: a certificate without its key would never be replaced."""
        try:
            for folder in (self._folder, path.parent):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise write_failure(path.parent, error) from error
        write_file(path.with_suffix(".jwk"), json.dumps(key.private_jwk()).encode() + b"\n")
        write_file(path, certificate.public_bytes(Encoding.PEM))


def names_address(certificate: bytes, address: str) -> bool:
    """Whether the certificate of a seal names an address; every one does when the address is empty."""
    if not address:
        return True
    try:
        extensions = x509.load_der_x509_certificate(certificate).extensions
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    return address in names.get_values_for_type(x509.UniformResourceIdentifier)


def _alternative_names(address: str) -> x509.SubjectAlternativeName:
    """The address, and its host, by one of which verifiers find that it is the issuer's (SD-JWT VC, 2.5)."""
    host = urlsplit(address).hostname or ""
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(address)]
    try:
        names.append(x509.IPAddress(ip_address(host)))
    except ValueError:
        names.append(x509.DNSName(host))
    return x509.SubjectAlternativeName(names)


def _subject(organization: str, name: str, country: str) -> x509.Name:
    short = name[:_COMMON_NAME_MAX_CHARS]
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, country),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, short),
            x509.NameAttribute(NameOID.ORGANIZATION_IDENTIFIER, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, short),
        ]
    )


def _read(path: Path) -> tuple[PlainKey, x509.Certificate]:
    """A key and its certificate.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when they cannot be read, or do not belong together.
    """
    try:
        certificate = x509.load_pem_x509_certificate(read_file(path))
        key = PlainKey.of_jwk(json.loads(read_file(path.with_suffix(".jwk"))))
    except (ValueError, Refused) as error:
        raise Fatal(Code.SETTINGS_INVALID, f"{path} or its key cannot be read: {error}.") from error
    if certificate.public_key() != key.public:
        raise Fatal(Code.SETTINGS_INVALID, f"{path} is not the certificate of the key beside it.")
    return key, certificate
