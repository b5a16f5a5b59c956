"""`dc+sd-jwt`: SD-JWT VC with key binding (RFC 9901; draft-ietf-oauth-sd-jwt-vc; OpenID4VP 1.0, B.3).

    <JWT of the issuer>~<disclosure>~…~<disclosure>~[<key binding JWT of the holder>]

What decides about a credential (`iss`, `nbf`, `exp`, `cnf`, `vct`, `status` …) is never disclosed, but signed
in the open. The key binding JWT is signed by the key in `cnf`, over everything that stands before it
(`sd_hash`), for one verifier and one request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hansa.core.errors import Code, Refused
from hansa.identity.credentials.formats.disclosures import disclosed_claims, hash_of
from hansa.identity.credentials.formats.document import (
    CREDENTIAL_SIZE_MAX_BYTES,
    CredentialDocument,
    HolderBinding,
    bound_to_jwk,
    check_header,
    read_claims,
    read_jws,
    text_claim,
)
from hansa.identity.credentials.refusals import malformed
from hansa.identity.credentials.times import Validity, addressee, numeric_date
from hansa.identity.foreign_jws import ForeignJws, is_signed_by

SD_JWT_FORMAT: Final = "dc+sd-jwt"

_TYPES: Final = frozenset({"dc+sd-jwt", "vc+sd-jwt"})
"""Of the issuer's JWT; the second one is that of drafts up to -05."""
_KEY_BINDING_TYPE: Final = frozenset({"kb+jwt"})
_NOTHING: Final[frozenset[str]] = frozenset()
_ALWAYS_OPEN: Final = (
    *("iss", "nbf", "exp", "iat", "cnf", "vct", "vct#integrity", "status", "aud"),
    *("credentialStatus", "validFrom", "validUntil"),
)


class KeyBinding(msgspec.Struct, frozen=True):
    """The key binding JWT of a presentation, *unverified*."""

    jws: ForeignJws
    claims: Mapping[str, Any]
    digest: str
    """Of what stands before it in the presentation: `sd_hash` has to be the same."""


def read_sd_jwt(text: str) -> tuple[CredentialDocument, KeyBinding | None]:
    """What an SD-JWT VC says, and how it is bound to the key of its holder.

    Raises:
        Refused: `Code.CREDENTIAL_MALFORMED`.
    """
    if len(text) > CREDENTIAL_SIZE_MAX_BYTES or not text.isascii():
        raise malformed(f"it is longer than {CREDENTIAL_SIZE_MAX_BYTES} bytes, or not ASCII")
    if "~" not in text:
        raise malformed("it is no SD-JWT: it has no `~`")
    first, *disclosures, last = text.split("~")
    jws = read_jws(first)
    check_header(jws, _TYPES, _NOTHING)
    signed = read_claims(jws.payload)
    claims = disclosed_claims(signed, disclosures)
    hidden = [name for name in _ALWAYS_OPEN if name in claims and name not in signed]
    if hidden:
        raise malformed(f"`{hidden[0]}` is disclosed selectively, and must not be")
    vct = text_claim(claims, "vct")
    if vct is None:
        raise malformed("it has no type (`vct`)")
    issued_s = numeric_date(claims, "iat")
    document = CredentialDocument(
        jws=jws,
        types=(vct,),
        issuer=text_claim(claims, "iss"),
        subject=_subject(claims),
        claims=claims,
        validity=Validity((numeric_date(claims, "nbf"), issued_s), (numeric_date(claims, "exp"),)),
        holder=_holder(claims),
        status=(claims["status"],) if "status" in claims else (),
        id=text_claim(claims, "jti") or "",
    )
    if not last:
        return document, None
    bound = read_jws(last)
    check_header(bound, _KEY_BINDING_TYPE, _NOTHING)
    before = text[: len(text) - len(last)]
    return document, KeyBinding(bound, read_claims(bound.payload), hash_of(signed)(before))


def _subject(claims: Mapping[str, Any]) -> Mapping[str, Any]:
    """The claims about the subject: all of them, or those in W3C's place for them."""
    inner = claims.get("credentialSubject")
    if not isinstance(inner, dict):
        return claims
    if "mandate" in claims:
        raise malformed("it says things twice: in `credentialSubject` and beside it")
    return inner


def _holder(claims: Mapping[str, Any]) -> HolderBinding:
    """The key in `cnf` (RFC 7800); no key when there is none."""
    if "cnf" not in claims:
        return HolderBinding()
    confirmation = claims["cnf"]
    if not isinstance(confirmation, dict) or confirmation.keys() != {"jwk"}:
        raise malformed("`cnf` does not name one key as a JWK")
    return bound_to_jwk(confirmation["jwk"])


def check_key_binding(
    binding: KeyBinding | None, holder: HolderBinding, now_s: int, age_max_s: int
) -> tuple[Any, Any]:
    """Check that the holder signed a presentation just now, and return for whom and for which request.

    Args:
        binding: Its key binding JWT; None: it has none.
        holder: Whom the credential names.
        now_s: Seconds since 1970.
        age_max_s: How long ago it may have been signed.

    Returns:
        `aud` and `nonce`, as they are written.

    Raises:
        Refused: `Code.PRESENTATION_UNBOUND`, `Code.PRESENTATION_EXPIRED` or `Code.CREDENTIAL_MALFORMED`.
    """
    if binding is None:
        raise Refused(Code.PRESENTATION_UNBOUND, "it has no key binding JWT")
    if holder.key is None:
        raise Refused(Code.PRESENTATION_UNBOUND, "its issuer bound it to no key (`cnf`)")
    if not is_signed_by(binding.jws, holder.key):
        raise Refused(Code.PRESENTATION_UNBOUND, "the key in `cnf` did not sign the key binding JWT")
    claims = binding.claims
    if claims.get("sd_hash") != binding.digest:
        raise Refused(Code.PRESENTATION_UNBOUND, "the key binding JWT is of other disclosures (`sd_hash`)")
    return addressee(claims, ("iat",), now_s, age_max_s)
