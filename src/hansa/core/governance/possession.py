"""Proof of possession of a key, and the candidacy of a marketplace that wants to become a member.

A proof is a JWS by the key itself over

    {did: who uses it, key: the public JWK, league, use: "signing"|"validator"|"node", x5c?}

`signing` keys sign batches, governance and requests. A `validator` key (Ed25519) is that of the member's
validator, a `node` key (Ed25519) that of one of its engines, whose node id follows from it. `x5c` is the
X.509 certificate of a signing key with the chain above it, base64 of DER, the key's own first (RFC 7517,
section 4.7). Seals of legal persons mostly have RSA keys, in modules of their providers, which cannot sign
events. Then the certificate is the seal's, and `seal` its signature, made once, over the proof without `seal`
and `x5c`: by it the legal person says that the key is its own.

A candidacy is a JWS by the first of the candidate's signing keys over

    {agreement_key?, country?, did, endpoint, keys: [proof, ...], league, name, nodes: [proof, ...]?,
    validator: proof?}

With it a marketplace asks to be admitted, and a member that lost its keys asks for new ones to be
registered.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Final, Literal

import msgspec

from hansa.core.closed_json import ListOf, Record, Text
from hansa.core.closed_structs import StructForm
from hansa.core.errors import Code, Refused
from hansa.core.governance.forms import DID, HASH, SignedForm, jws_text
from hansa.core.jws import CompactJws, signing_input
from hansa.core.keys import PublicJwk, SigningKey, VerifyingKey
from hansa.core.members import (
    AGREEMENT_KEY,
    COUNTRY,
    ENDPOINT,
    KEYS_MAX,
    MEMBER_NAME,
    NODE_IDS_MAX,
    PUBLIC_JWK,
)

KeyUse = Literal["node", "signing", "validator"]

CERTIFICATES_MAX: Final = 5
POSSESSION_LENGTH_MAX_CHARS: Final = 49_152
CANDIDACY_LENGTH_MAX_CHARS: Final = 131_072
_NODE_ID_SIZE_BYTES: Final = 20


SEAL: Final = Text("[A-Za-z0-9_-]{342,683}")
"""A signature of 256 to 512 bytes."""
SEAL_ALGORITHM: Final = Text("PS256|RS256")
_SEAL_HEADER: Final = Record(
    {
        "alg": SEAL_ALGORITHM,
        "cty": Text(re.escape("application/vnd.hansa.possession+json")),
        "typ": Text("seal"),
    }
)


class Possession(msgspec.Struct, frozen=True):
    """What the owner of a key signs with it."""

    did: str
    """Of the member, or candidate, for which the key is used."""
    key: PublicJwk
    league: str
    use: KeyUse
    x5c: tuple[str, ...] = ()
    """Certificate and chain of a signing key; base64 of DER, with padding, no line breaks."""
    seal: str = ""
    """Signature by the key of the certificate, when that is another one: base64url (`sealed_bytes`)."""
    seal_algorithm: str = ""
    """`PS256` or `RS256` (RFC 7518)."""


POSSESSION: Final = SignedForm(
    "application/vnd.hansa.possession+json",
    StructForm(
        Possession,
        {"did": DID, "key": PUBLIC_JWK, "league": HASH, "use": Text("node|signing|validator")},
        {
            "seal": SEAL,
            "seal_algorithm": SEAL_ALGORITHM,
            "x5c": ListOf(Text("[A-Za-z0-9+/]{4,8192}={0,2}"), CERTIFICATES_MAX),
        },
    ),
)
PROOF: Final = jws_text(POSSESSION_LENGTH_MAX_CHARS)


class Candidacy(msgspec.Struct, frozen=True):
    """What a candidate says about itself; its keys are in the proofs."""

    did: str
    endpoint: str
    keys: tuple[str, ...]
    """Proofs of its signing keys."""
    league: str
    name: str
    nodes: tuple[str, ...] = ()
    """Proofs of its engines' keys."""
    validator: str = ""
    """Proof of its validator's key; empty when it runs none."""
    agreement_key: str = ""
    """With which events are sealed for it; empty: nothing confidential can be sent to it."""
    country: str = ""
    """Where it is, for the members to check; empty: nobody says it."""


CANDIDACY: Final = SignedForm(
    "application/vnd.hansa.candidacy+json",
    StructForm(
        Candidacy,
        {
            "did": DID,
            "endpoint": ENDPOINT,
            "keys": ListOf(PROOF, KEYS_MAX),
            "league": HASH,
            "name": MEMBER_NAME,
        },
        {
            "agreement_key": AGREEMENT_KEY,
            "country": COUNTRY,
            "nodes": ListOf(PROOF, NODE_IDS_MAX),
            "validator": PROOF,
        },
    ),
)


class Certification(msgspec.Struct, frozen=True):
    """What shows whose a signing key is: a certificate for it, or a seal that was certified."""

    x5c: tuple[str, ...] = ()
    seal: str = ""
    seal_algorithm: str = ""


UNCERTIFIED: Final = Certification()


def prove_possession(
    key: SigningKey,
    did: str,
    league: str,
    use: KeyUse,
    signed_at_s: int,
    certification: Certification = UNCERTIFIED,
) -> str:
    """The proof that a member has a key, as a compact JWS by that key."""
    fields = certification.x5c, certification.seal, certification.seal_algorithm
    return POSSESSION.sign(Possession(did, key.public, league, use, *fields), key, signed_at_s)


def sealed_bytes(did: str, key: PublicJwk, league: str, algorithm: str) -> bytes:
    """What a seal signs to say that a signing key is its owner's: the signing input of a JWS (RFC 7515).

    Args:
        did: Of the member, or candidate.
        key: That signs for it.
        league: Identifier of the league.
        algorithm: `PS256` or `RS256`.
    """
    header = {"alg": algorithm, "cty": POSSESSION.content_type, "typ": "seal"}
    payload = POSSESSION.form.write(Possession(did, key, league, "signing"))
    return signing_input(_SEAL_HEADER, header, payload)


def read_possession(compact: str, did: str, league: str, use: KeyUse) -> tuple[Possession, CompactJws]:
    """The content of a proof for that member, league and use, and its JWS, which is still to be verified.

    It verifies by the key that is in the proof.

    Raises:
        Refused: `Code.MALFORMED` or `Code.INVALID`.
    """
    proof, jws = POSSESSION.read(compact)
    if (proof.did, proof.league, proof.use) != (did, league, use):
        raise Refused(Code.INVALID, f"The proof is not for the use of a {use} key by {did} in this league.")
    if jws.kid != proof.key.kid or (use != "signing" and (proof.key.kty != "OKP" or proof.x5c)):
        raise Refused(Code.INVALID, f"The proof names another key, or one that cannot be a {use} key.")
    if bool(proof.seal) != bool(proof.seal_algorithm) or (proof.seal and not proof.x5c):
        raise Refused(Code.INVALID, "A seal comes with its algorithm and its certificate.")
    return proof, jws


def verify_possession(compact: str, did: str, league: str, use: KeyUse) -> Possession:
    """The content of a proof that is valid for that member, league and use.

    Raises:
        Refused: `Code.MALFORMED`, `Code.INVALID` or `Code.EVENT_SIGNATURE_INVALID`.
    """
    proof, jws = read_possession(compact, did, league, use)
    VerifyingKey(proof.key).verify(jws)
    return proof


def verify_candidacy(compact: str, league: str) -> Candidacy:
    """A candidacy for a league, signed by the first of the keys whose possession it proves.

    The other proofs in it are not verified (`verify_possession`).

    Raises:
        Refused: `Code.MALFORMED`, `Code.INVALID` or `Code.EVENT_SIGNATURE_INVALID`.
    """
    candidacy, jws = CANDIDACY.read(compact)
    if candidacy.league != league:
        raise Refused(Code.INVALID, "The candidacy is for another league.")
    key = verify_possession(candidacy.keys[0], candidacy.did, league, "signing").key
    if jws.kid != key.kid:
        raise Refused(Code.INVALID, f"The candidacy is not signed by its first key, {key.kid}.")
    VerifyingKey(key).verify(jws)
    return candidacy


def raw_ed25519(key: PublicJwk) -> bytes:
    """The 32 bytes of an Ed25519 key whose possession was proved."""
    assert key.kty == "OKP", "a key of an engine"
    return base64.urlsafe_b64decode(key.x + "=")


def validator_key_of(key: PublicJwk) -> str:
    """How the registry names a validator's key: hex."""
    return raw_ed25519(key).hex()


def node_id_of(key: PublicJwk) -> str:
    """The node id of an engine's key: the first 20 bytes of its SHA-256, in hex."""
    return hashlib.sha256(raw_ed25519(key)).digest()[:_NODE_ID_SIZE_BYTES].hex()
