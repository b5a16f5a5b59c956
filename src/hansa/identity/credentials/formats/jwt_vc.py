"""`jwt_vc_json`: W3C credentials and presentations as JWTs, in the data model's versions 1.1 and 2.0.

Version 1.1 has the credential in the claim `vc` and repeats some of it beside that; what is said twice has to
agree. Version 2.0 (VC-JOSE-COSE) has it as the claims themselves. A JWT that has both, or a presentation and
a credential at once, is neither. DOME's credentials are sealed as JAdES: their header may have a critical
`sigT`.

A presentation holds one credential, and is signed by a key of the one to whom that was issued.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hansa.core.errors import Code, Refused
from hansa.core.identifiers import is_did
from hansa.identity.credentials.formats.document import (
    CREDENTIAL_SIZE_MAX_BYTES,
    TYPES_MAX,
    CredentialDocument,
    HolderBinding,
    bound_to_jwk,
    check_header,
    read_claims,
    read_jws,
    text_claim,
)
from hansa.identity.credentials.refusals import malformed
from hansa.identity.credentials.times import Validity, addressee, date_time, numeric_date
from hansa.identity.foreign_jws import ForeignJws
from hansa.identity.jades import SIGNING_TIME, signing_time_s

JWT_VC_FORMAT: Final = "jwt_vc_json"

_CREDENTIAL_TYPES: Final = frozenset({"", "jwt", "jose", "vc+jwt", "vc+ld+jwt"})
_PRESENTATION_TYPES: Final = frozenset({"", "jwt", "vp+jwt", "vp+ld+jwt"})
_NOTHING: Final[frozenset[str]] = frozenset()
_BASE_TYPES: Final = frozenset({"VerifiableCredential", "VerifiableAttestation"})
_PRESENTATION: Final = "VerifiablePresentation"
_ENVELOPED: Final = "EnvelopedVerifiableCredential"
_ENVELOPE_PREFIXES: Final = ("data:application/vc+jwt,", "data:application/vc+ld+jwt,")
_STATUS_MAX: Final = 8


class JwtPresentation(msgspec.Struct, frozen=True):
    """A presentation, *unverified*."""

    jws: ForeignJws
    claims: Mapping[str, Any]
    holder: str
    """DID of the one who presents, as the presentation says."""
    credential: CredentialDocument


def is_presentation(claims: Mapping[str, Any]) -> bool:
    """Whether claims are those of a presentation, and not of a credential."""
    return "vp" in claims or "verifiableCredential" in claims or _PRESENTATION in _texts(claims.get("type"))


def read_jwt_vc(text: str, size_max_bytes: int = CREDENTIAL_SIZE_MAX_BYTES) -> CredentialDocument:
    """What a credential says; a status list is one, and may be longer.

    Raises:
        Refused: `Code.CREDENTIAL_MALFORMED`.
    """
    jws = read_jws(text, size_max_bytes)
    check_header(jws, _CREDENTIAL_TYPES, SIGNING_TIME)
    if "sigT" in jws.header:
        try:
            signing_time_s({"sigT": jws.header["sigT"], "crit": jws.header.get("crit", ())})
        except Refused as error:
            raise malformed(error.message) from error
    claims = read_claims(jws.payload, size_max_bytes)
    if is_presentation(claims):
        raise malformed("it is a presentation, and no credential")
    content = _content(claims, "vc", "credentialSubject")
    types = tuple(one for one in _types(content) if one not in _BASE_TYPES)
    if not types:
        raise malformed("it has no type that says what it is for")
    subject = content.get("credentialSubject")
    if not isinstance(subject, dict):
        raise malformed("it has not one subject (`credentialSubject`)")
    issued_s = (
        numeric_date(claims, "iat") if not isinstance(claims.get("iat"), str) else date_time(claims, "iat")
    )
    issuer = _agreed("its issuer", text_claim(claims, "iss"), _identifier(content.get("issuer")))
    if issuer is None:
        raise malformed("it names no issuer")
    begins = (
        numeric_date(claims, "nbf"),
        issued_s,
        date_time(content, "validFrom"),
        date_time(content, "issuanceDate"),
    )
    ends = (
        numeric_date(claims, "exp"),
        date_time(content, "validUntil"),
        date_time(content, "expirationDate"),
    )
    return CredentialDocument(
        jws=jws,
        types=types,
        issuer=issuer,
        subject=subject,
        claims=content,
        validity=Validity(begins, ends),
        holder=_holder(claims, content, subject),
        status=_status(content.get("credentialStatus")),
        id=text_claim(content, "id") or text_claim(claims, "jti") or "",
    )


def read_jwt_presentation(text: str) -> JwtPresentation:
    """What a presentation says, with the credential in it.

    Raises:
        Refused: `Code.CREDENTIAL_MALFORMED` or `Code.PRESENTATION_UNBOUND`.
    """
    jws = read_jws(text)
    check_header(jws, _PRESENTATION_TYPES, _NOTHING)
    claims = read_claims(jws.payload)
    if "vc" in claims or "credentialSubject" in claims or not is_presentation(claims):
        raise malformed("it is no presentation, or a credential as well")
    content = _content(claims, "vp", "verifiableCredential")
    if _PRESENTATION not in _types(content):
        raise malformed(f"it is not of the type {_PRESENTATION}")
    holder = _agreed("its holder", text_claim(claims, "iss"), _identifier(content.get("holder")))
    if holder is None or not is_did(holder):
        raise Refused(Code.PRESENTATION_UNBOUND, "it does not say whose presentation it is (`iss`): a DID")
    entries = content.get("verifiableCredential")
    entries = entries if isinstance(entries, list) else [entries]
    if len(entries) != 1:
        raise malformed(f"it has {len(entries)} credentials, and not one")
    return JwtPresentation(jws, claims, holder, read_jwt_vc(_credential_text(entries[0])))


def check_presentation_claims(claims: Mapping[str, Any], now_s: int, age_max_s: int) -> tuple[Any, Any]:
    """Check the times of a presentation, and return for whom and for which request it is.

    Returns:
        `aud` and `nonce`, as they are written.

    Raises:
        Refused: `Code.PRESENTATION_EXPIRED` or `Code.CREDENTIAL_MALFORMED`.
    """
    return addressee(claims, ("iat", "nbf"), now_s, age_max_s)


def _content(claims: Mapping[str, Any], name: str, marker: str) -> Mapping[str, Any]:
    """The object of version 1.1, or the claims themselves."""
    if name not in claims:
        return claims
    if marker in claims or "type" in claims:
        raise malformed(f"it says things twice: in `{name}` and beside it")
    content = claims[name]
    if not isinstance(content, dict):
        raise malformed(f"`{name}` is no object")
    return content


def _credential_text(entry: Any) -> str:
    if isinstance(entry, str):
        return entry
    if isinstance(entry, dict) and _ENVELOPED in _texts(entry.get("type")):
        address = entry.get("id")
        for prefix in _ENVELOPE_PREFIXES:
            if isinstance(address, str) and address.startswith(prefix):
                return address.removeprefix(prefix)
    raise malformed("the credential in it is no JWT")


def _types(content: Mapping[str, Any]) -> tuple[str, ...]:
    types = _texts(content.get("type"))
    if not types or len(types) > TYPES_MAX or not all(one.isprintable() for one in types):
        raise malformed(f"`type` is no list of 1 to {TYPES_MAX} texts")
    return types


def _texts(value: Any) -> tuple[str, ...]:
    """The texts in a list, or the one that it is; none when it is anything else."""
    values = value if isinstance(value, list) else [value]
    return tuple(values) if all(isinstance(one, str) for one in values) else ()


def _identifier(value: Any) -> str | None:
    """The identifier that stands for an object, or in it as `id`."""
    return text_claim({"id": value} if not isinstance(value, dict) else value, "id")


def _agreed(what: str, *values: str | None) -> str | None:
    """What several places say, who have to agree."""
    distinct = {value for value in values if value is not None}
    if len(distinct) > 1:
        raise malformed(f"{what} is said twice, and differently")
    return next(iter(distinct), None)


def _holder(
    claims: Mapping[str, Any], content: Mapping[str, Any], subject: Mapping[str, Any]
) -> HolderBinding:
    """Whom a credential names as its holder: the key in `cnf`, else its subject, else the mandatee."""
    confirmation = _confirmation(claims, content)
    if confirmation is not None:
        if confirmation.keys() == {"jwk"}:
            return bound_to_jwk(confirmation["jwk"])
        kid = text_claim(confirmation, "kid")
        if confirmation.keys() != {"kid"} or kid is None or not is_did(kid.partition("#")[0]):
            raise malformed("`cnf` names neither one key as a JWK nor one of a DID")
        return HolderBinding(did=kid.partition("#")[0])
    named = _agreed("its subject", text_claim(claims, "sub"), _identifier(subject.get("id")))
    mandate = subject.get("mandate")
    mandatee = mandate.get("mandatee") if isinstance(mandate, dict) else None
    if named is None and isinstance(mandatee, dict):
        named = _identifier(mandatee.get("id"))
    return HolderBinding(did=named if named is not None and is_did(named) else "")


def _confirmation(claims: Mapping[str, Any], content: Mapping[str, Any]) -> Mapping[str, Any] | None:
    places = [place["cnf"] for place in (claims, content) if place.get("cnf") is not None]
    if not places:
        return None
    if any(place != places[0] for place in places) or not isinstance(places[0], dict):
        raise malformed("`cnf` is no object, or is there twice and differently")
    return places[0]


def _status(value: Any) -> tuple[Any, ...]:
    if value is None:
        return ()
    entries = value if isinstance(value, list) else [value]
    if len(entries) > _STATUS_MAX:
        raise malformed(f"it has more than {_STATUS_MAX} places of its status")
    return tuple(entries)
