"""JAdES baseline B-B signatures of others (ETSI TS 119 182-1), in both forms of the claimed signing time.

    iat     whole seconds, as signatures of version 1.2 and later have it, those of a league too
    sigT    a text, named in `crit`: the older form, in which DOME's documents are signed

Here is what comes from outside of a league: compact, with the payload inside, and with the certificates of
the signer (`x5c`), which lead to trust anchors that the caller names. Algorithms are ES256, ES384, Ed25519,
RS256, RS384, RS512, PS256, PS384 and PS512. A header parameter that is critical and none of these, a payload
elsewhere (`sigD`, `b64`) and an address to fetch anything from are refused or ignored, never followed. The
ledger does not use this: what its voters judge has one byte string (`hansa.core.jws`), and certificates stand
on it (`hansa.pubsub.ledger.rules.certificates`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from hansa.core.certificates import Certificate, VerifiedChain
from hansa.core.certificates.elsi import elsi_did
from hansa.core.errors import Code, Refused
from hansa.core.instants import moment
from hansa.identity.foreign_jws import (
    JWS_ALGORITHMS,
    chain_of_header,
    check_critical,
    is_signed_by,
    malformed_jws,
    read_foreign_jws,
)

JADES_SIZE_MAX_BYTES: Final = 1_048_576
SIGNED_AHEAD_MAX_S: Final = 300
"""How far a claimed signing time may lie ahead."""

SIGNING_TIME: Final = frozenset({"sigT"})
"""What may be critical."""
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


class JadesDocument(msgspec.Struct, frozen=True):
    """What somebody signed, verified."""

    payload: bytes
    content_type: str
    """`cty` of the header; empty when there is none."""
    algorithm: str
    signed_at_s: int
    """When the signer says that it was signed; seconds since 1970."""
    chain: VerifiedChain
    """Whose key signed."""

    @property
    def did(self) -> str | None:
        """The did:elsi of the signer; None when its certificate names no organization."""
        identifier = self.chain.leaf.subject.organization_identifier
        return None if identifier is None else elsi_did(identifier)


def verify_jades(compact: str, anchors: Sequence[Certificate], time_s: int) -> JadesDocument:
    """The content of a JAdES B-B signature that is valid at a time.

    Args:
        compact: JWS in compact form; a line break at the end is no part of it.
        anchors: Authorities that are trusted.
        time_s: Of now, or of a time that others have attested; seconds since 1970. The time in the signature
            is a claim.

    Raises:
        Refused: `Code.MALFORMED`, when it is no such signature; `Code.CERTIFICATE_INVALID`, when the signer's
            certificate cannot be trusted; `Code.EVENT_SIGNATURE_INVALID`, when its key did not sign.
    """
    try:
        jws = read_foreign_jws(compact.rstrip("\r\n"), JADES_SIZE_MAX_BYTES)
        check_critical(jws.header, SIGNING_TIME)
        signed_at_s = signing_time_s(jws.header)
        chain = chain_of_header(jws.header, anchors, time_s)
    except Refused as error:
        if error.code is Code.MALFORMED:
            raise _malformed(error.message) from error
        raise
    if signed_at_s > time_s + SIGNED_AHEAD_MAX_S or not chain.leaf.is_valid_at(signed_at_s):
        raise _malformed("its signing time is in the future, or not within the validity of the certificate")
    if JWS_ALGORITHMS.get(jws.algorithm, ("",))[0] != chain.leaf.key.kind:
        raise _malformed("its algorithm is not one of those that are allowed, or not that of the key")
    if not is_signed_by(jws, chain.leaf.key):
        raise Refused(Code.EVENT_SIGNATURE_INVALID, "The key of the certificate did not sign this.")
    content_type = jws.header.get("cty", "")
    return JadesDocument(
        payload=jws.payload,
        content_type=content_type if isinstance(content_type, str) else "",
        algorithm=jws.algorithm,
        signed_at_s=signed_at_s,
        chain=chain,
    )


def signing_time_s(header: Mapping[str, Any]) -> int:
    """The claimed signing time: one of both forms, and not both; `sigT` is critical.

    Raises:
        Refused: `Code.MALFORMED`, with the end of a sentence.
    """
    if "sigT" in header and "sigT" not in header.get("crit", ()):
        raise malformed_jws("`sigT` is not critical")
    if ("iat" in header) == ("sigT" in header):
        raise malformed_jws("it has two signing times, or none")
    if "iat" in header:
        claimed = header["iat"]
        if isinstance(claimed, bool) or not isinstance(claimed, int) or not 0 <= claimed < 2**53:
            raise malformed_jws("`iat` is no number of seconds")
        return claimed
    text = header["sigT"]
    if not isinstance(text, str) or _TIME.fullmatch(text) is None:
        raise malformed_jws("`sigT` is no time in UTC")
    at = moment(text)
    if at is None:
        raise malformed_jws("`sigT` is no time in UTC")
    return int(at.timestamp())


def _malformed(what: str) -> Refused:
    return Refused(Code.MALFORMED, f"This is no JAdES B-B signature that can be accepted: {what}.")
