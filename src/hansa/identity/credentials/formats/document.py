"""What a credential says, whatever format it is in: read, and not yet verified."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Literal

import msgspec

from hansa.core.bounded_json import read_object
from hansa.core.certificates.algorithms import CertifiedKey
from hansa.core.certificates.extensions import SEAL_PURPOSES
from hansa.core.errors import Refused
from hansa.core.limits import Limits
from hansa.identity.credentials.refusals import malformed
from hansa.identity.credentials.times import Validity
from hansa.identity.foreign_jws import ForeignJws, check_critical, key_of_jwk, read_foreign_jws

CREDENTIAL_SIZE_MAX_BYTES: Final = 131_072
DEPTH_MAX: Final = 24
TYPES_MAX: Final = 16
TEXT_MAX_CHARS: Final = 2048

StatusForm = Literal["jose", "cose"]


class HolderBinding(msgspec.Struct, frozen=True):
    """To whom a credential was issued: whoever presents it proves to have that key."""

    key: CertifiedKey | None = None
    """The key itself (`cnf`)."""
    did: str = ""
    """A DID, whose keys count; empty when the key is named, or nobody."""


class CredentialDocument(msgspec.Struct, frozen=True):
    """What a credential says, *unverified*."""

    jws: ForeignJws
    """What its issuer signed."""
    types: tuple[str, ...]
    """Those that say what it is for: `vct`, or `type` without `VerifiableCredential`."""
    issuer: str | None
    """Whom it names as its issuer: a DID or an address."""
    subject: Mapping[str, Any]
    """The claims about its subject, with those that were disclosed."""
    claims: Mapping[str, Any]
    """All claims, with those that were disclosed."""
    validity: Validity
    holder: HolderBinding
    status: tuple[Any, ...] = ()
    """What it says about where its status is, as it is written."""
    status_form: StatusForm = "jose"
    """Whose rules hold for that: those of credentials in JSON, or of mdocs."""
    id: str = ""
    signer_purposes: frozenset[bytes] = SEAL_PURPOSES
    """Extended key usages, of which the certificate of whoever signed it has one, if it names any."""


def bound_to_jwk(jwk: object) -> HolderBinding:
    """The binding to the key in `cnf` (RFC 7800).

    Raises:
        Refused: `Code.CREDENTIAL_MALFORMED`.
    """
    try:
        return HolderBinding(key=key_of_jwk(jwk))
    except Refused as error:
        raise malformed(f"`cnf`: {error.message}") from error


@lru_cache(4)
def _limits(size_max_bytes: int) -> Limits:
    return Limits(
        body_depth_max=DEPTH_MAX,
        body_nodes_max=4000,
        array_length_max_items=2000,
        string_length_max_chars=size_max_bytes,
    )


def read_jws(text: str, size_max_bytes: int = CREDENTIAL_SIZE_MAX_BYTES) -> ForeignJws:
    """A signed part of a credential or a presentation, or a status list.

    Raises:
        Refused: `Code.CREDENTIAL_MALFORMED`.
    """
    try:
        return read_foreign_jws(text, size_max_bytes)
    except Refused as error:
        raise malformed(error.message) from error


def check_header(jws: ForeignJws, types: frozenset[str], understood: frozenset[str]) -> None:
    """Check the header of a signed part: media type, critical parameters, algorithm.

    Args:
        jws: The part.
        types: Values of `typ` that are allowed, without `application/`; an empty text: it may be left out.
        understood: Parameters that may be critical.

    Raises:
        Refused: `Code.CREDENTIAL_MALFORMED`.
    """
    typ = jws.header.get("typ", "")
    if not isinstance(typ, str) or typ.lower().removeprefix("application/") not in types:
        raise malformed(f"its header says that it is {typ!r}, which is something else (`typ`)")
    try:
        check_critical(jws.header, understood)
    except Refused as error:
        raise malformed(error.message) from error
    if not jws.algorithm:
        raise malformed(f"its algorithm {jws.header.get('alg')!r} is none that is allowed")


def read_claims(raw: bytes, size_max_bytes: int = CREDENTIAL_SIZE_MAX_BYTES) -> dict[str, Any]:
    """The claims in a signed part, of which one text may be as long as the whole.

    Raises:
        Refused: `Code.CREDENTIAL_MALFORMED`; also for a name that is there twice, and for what is too deep or
            too large.
    """
    try:
        return read_object(raw, _limits(size_max_bytes))
    except Refused as error:
        raise malformed(f"its content cannot be read: {error.message}") from error


def text_claim(claims: Mapping[str, Any], name: str) -> str | None:
    """A claim that is a text; None when it is not there, or null.

    Raises:
        Refused: `Code.CREDENTIAL_MALFORMED`, for any other value and for one that is too long.
    """
    value = claims.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= TEXT_MAX_CHARS or not value.isprintable():
        raise malformed(f"`{name}` is no text of 1 to {TEXT_MAX_CHARS} characters")
    return value
