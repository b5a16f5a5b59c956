"""Authorities and certificates for tests, made by `cryptography`, an implementation that is not ours."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
ORGANIZATION = "VATES-12345678"
YEAR = timedelta(days=365)
Hash = hashes.SHA256 | hashes.SHA384 | hashes.SHA512


class Issued(NamedTuple):
    """A certificate with its private key."""

    key: Any
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)


class Usages(NamedTuple):
    """The key usages that tests name."""

    digital_signature: bool = False
    content_commitment: bool = False
    key_encipherment: bool = False
    key_cert_sign: bool = False

    def extension(self) -> x509.KeyUsage:
        return x509.KeyUsage(
            **self._asdict(),
            data_encipherment=False,
            key_agreement=False,
            crl_sign=False,
            encipher_only=False,
            decipher_only=False,
        )


def new_key(kind: str = "P-256") -> Any:
    """A private key of a kind: `P-256`, `P-384`, `Ed25519`, or the bits of an RSA key."""
    if kind == "Ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if kind.startswith("P-"):
        return ec.generate_private_key(ec.SECP256R1() if kind == "P-256" else ec.SECP384R1())
    return rsa.generate_private_key(65537, int(kind))


def name(common_name: str, organization_identifier: str | None = None) -> x509.Name:
    """A distinguished name."""
    attributes = [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "ES"),
        x509.NameAttribute(NameOID.COMMON_NAME, common_name),
    ]
    if organization_identifier is not None:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_IDENTIFIER, organization_identifier))
    return x509.Name(attributes)


def issue(
    subject: x509.Name,
    key: Any,
    issuer: Issued | None,
    *,
    extensions: Sequence[tuple[x509.ExtensionType, bool]],
    begin: datetime = NOW - YEAR,
    end: datetime = NOW + YEAR,
    hash_algorithm: Hash | None = None,
    pss: bool = False,
    serial: int = 77,
) -> Issued:
    """A certificate; without an issuer it is signed by its own key."""
    signer = key if issuer is None else issuer.key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(begin)
        .not_valid_after(end)
    )
    for extension, is_critical in extensions:
        builder = builder.add_extension(extension, is_critical)
    algorithm = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hash_algorithm or hashes.SHA256()
    scheme = padding.PSS(padding.MGF1(algorithm), algorithm.digest_size) if pss and algorithm else None
    return Issued(key, builder.sign(signer, algorithm, rsa_padding=scheme))


def authority(
    common_name: str = "Trust CA",
    issuer: Issued | None = None,
    *,
    key: Any = None,
    path_length: int | None = None,
    **options: Any,
) -> Issued:
    """An authority."""
    extensions = [
        (x509.BasicConstraints(ca=True, path_length=path_length), True),
        (Usages(key_cert_sign=True).extension(), True),
    ]
    return issue(name(common_name), key or new_key(), issuer, extensions=extensions, **options)


def seal(
    issuer: Issued | None,
    organization_identifier: str | None = ORGANIZATION,
    *,
    key: Any = None,
    usages: Usages = Usages(content_commitment=True),  # noqa: B008 - a constant
    further: Sequence[tuple[x509.ExtensionType, bool]] = (),
    **options: Any,
) -> Issued:
    """A certificate for seals."""
    return issue(
        name("GoodAir eSeal", organization_identifier),
        key or new_key(),
        issuer,
        extensions=[(usages.extension(), True), *further],
        **options,
    )
