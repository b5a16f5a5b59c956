"""The key and the certificates of the verifier in a marketplace's folder, made there when there are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from hansa.core.clock import Clock, rfc3339
from hansa.core.errors import Code, Fatal, Refused
from hansa.core.files import is_missing, read_file, write_failure, write_file
from hansa.core.identifiers import Entropy
from hansa.core.web_addresses import web_address
from hansa.identity.presentations import VerifierIdentity, identity_of_key, read_identity
from hansa.identity.presentations.token_keys import PIN_MAX_CHARS, TokenKey, read_token_key_uri
from hansa.node.folder import VERIFIER
from hansa.node.settings.loading import Settings
from hansa.node.verifier.development import development_certificates

KEY: Final = VERIFIER / "key.pem"
CERTIFICATE: Final = VERIFIER / "certificate.pem"
AUTHORITY: Final = VERIFIER / "authority.pem"
REGISTRATION: Final = VERIFIER / "registration.jwt"
REGISTRATION_MAX_BYTES: Final = 65_536
_REMEDY: Final = "docs/operators/credentials.md says what belongs there."


def verifier_identity(
    settings: Settings, folder: Path, clock: Clock, entropy: Entropy, log: Any
) -> VerifierIdentity:
    """The identity of the marketplace in a folder to wallets.

    Args:
        settings: Endpoint, name and prefix of the client identifier.
        folder: Of the marketplace.
        clock: For certificates that are made.
        entropy: For their serial numbers.
        log: Is told when the certificate is one for development.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, naming the file that is wrong or cannot be read or written.
    """
    host = web_address(settings.endpoint).host
    if settings.verifier_key:
        return _identity_in_token(settings, folder, host)
    _make_missing(settings.name, host, folder, clock, entropy)
    key, certificates = read_file(folder / KEY, _REMEDY), read_file(folder / CERTIFICATE, _REMEDY)
    try:
        identity = read_identity(key, certificates, settings.wallet_client_id_prefix, host)
    except Refused as error:
        raise Fatal(Code.SETTINGS_INVALID, f"{folder / VERIFIER}: {error.message}. {_REMEDY}") from error
    leaf = _leaf(certificates)
    if leaf is not None and leaf.not_valid_after_utc <= clock.now():
        log.warning("verifier_certificate_ended", ended=rfc3339(leaf.not_valid_after_utc))
    if not is_missing(folder / AUTHORITY):
        log.info("verifier_certificate_for_development", authority=str(AUTHORITY))
    return identity


def _identity_in_token(settings: Settings, folder: Path, host: str) -> VerifierIdentity:
    """The identity of a key in a PKCS #11 token, whose certificates are in the folder."""
    prefix = settings.wallet_client_id_prefix
    try:
        uri = read_token_key_uri(settings.verifier_key)
        pin = read_file(folder / uri.pin_file, _REMEDY).decode("utf-8", "replace").strip()
        if len(pin) > PIN_MAX_CHARS:
            raise Refused(Code.INVALID, f"{uri.pin_file} has more than {PIN_MAX_CHARS} characters")
        key = TokenKey(uri, pin)
        needs_none = prefix == "decentralized_identifier"
        certificates = b"" if needs_none else read_file(folder / CERTIFICATE, _REMEDY)
        return identity_of_key(key, certificates, prefix, host)
    except Refused as error:
        raise Fatal(Code.SETTINGS_INVALID, f"verifier_key: {error.message}. {_REMEDY}") from error


def registration_certificate(folder: Path) -> str:
    """The registration certificate in a folder; empty when there is none.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when it is no compact JWS or cannot be read.
    """
    path = folder / REGISTRATION
    if is_missing(path):
        return ""
    content = read_file(path)
    text = content.decode("ascii", "replace").strip()
    parts = text.split(".")
    if len(content) > REGISTRATION_MAX_BYTES or len(parts) != 3 or not text.isprintable():
        raise Fatal(Code.SETTINGS_INVALID, f"{path} is no registration certificate as a compact JWS.")
    return text


def _make_missing(name: str, host: str, folder: Path, clock: Clock, entropy: Entropy) -> None:
    """Make a key where there is none, and a certificate for development where there is none or it ends."""
    if is_missing(folder / KEY):
        if not is_missing(folder / CERTIFICATE):
            raise Fatal(Code.SETTINGS_INVALID, f"{folder / KEY} is missing, and its certificate is there.")
        try:
            (folder / VERIFIER).mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise write_failure(folder / VERIFIER, error) from error
        made = ec.generate_private_key(ec.SECP256R1())
        write_file(folder / KEY, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    if not is_missing(folder / CERTIFICATE) and not _is_outdated(folder, clock):
        return
    try:
        key = load_pem_private_key(read_file(folder / KEY, _REMEDY), password=None).public_key()
    except (ValueError, TypeError):
        return  # whoever reads the identity says what is wrong with it
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return
    leaf, authority = development_certificates(key, name, host, clock.now(), entropy)
    write_file(folder / AUTHORITY, authority)
    write_file(folder / CERTIFICATE, leaf)


def _is_outdated(folder: Path, clock: Clock) -> bool:
    """Whether a certificate that was made here has ended. Those of others are for the operator to renew."""
    if is_missing(folder / AUTHORITY):
        return False
    leaf = _leaf(read_file(folder / CERTIFICATE, _REMEDY))
    return leaf is not None and leaf.not_valid_after_utc <= clock.now()


def _leaf(pem: bytes) -> x509.Certificate | None:
    """The first certificate of a file; None when there is none that can be read."""
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        return None
