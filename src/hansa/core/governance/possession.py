"""Proof of possession of a key, and the candidacy of a marketplace that wants to become a member.

A proof is a JWS by the key itself over

    {did: who uses it, key: the public JWK, league, use: "signing"|"validator"|"node", x5c?}

`signing` keys sign batches, governance and requests. A `validator` key (Ed25519) is that of the member's
validator, a `node` key (Ed25519) that of one of its engines, whose node id follows from it. `x5c` is the
X.509 certificate of a signing key with the chain above it, base64 of DER, the key's own first (RFC 7517,
section 4.7).

A candidacy is a JWS by the first of the candidate's signing keys over

    {did, endpoint, keys: [proof, ...], league, name, nodes: [proof, ...]?, validator: proof?}

With it a marketplace asks to be admitted, and a member that lost its keys asks for new ones to be
registered.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Final, Literal

import msgspec

from hansa.core.closed_json import ListOf, Text
from hansa.core.closed_structs import StructForm
from hansa.core.errors import Code, Refused
from hansa.core.governance.forms import DID, HASH, SignedForm, jws_text
from hansa.core.jws import CompactJws
from hansa.core.keys import PublicJwk, SigningKey, VerifyingKey
from hansa.core.members import ENDPOINT, KEYS_MAX, MEMBER_NAME, NODE_IDS_MAX, PUBLIC_JWK

KeyUse = Literal["node", "signing", "validator"]

CERTIFICATES_MAX: Final = 5
POSSESSION_LENGTH_MAX_CHARS: Final = 49_152
CANDIDACY_LENGTH_MAX_CHARS: Final = 131_072
_NODE_ID_SIZE_BYTES: Final = 20


class Possession(msgspec.Struct, frozen=True):
    """What the owner of a key signs with it."""

    did: str
    """Of the member, or candidate, for which the key is used."""
    key: PublicJwk
    league: str
    use: KeyUse
    x5c: tuple[str, ...] = ()
    """Certificate and chain of a signing key; base64 of DER, with padding, no line breaks."""


POSSESSION: Final = SignedForm(
    "application/vnd.hansa.possession+json",
    StructForm(
        Possession,
        {"did": DID, "key": PUBLIC_JWK, "league": HASH, "use": Text("node|signing|validator")},
        {"x5c": ListOf(Text("[A-Za-z0-9+/]{4,8192}={0,2}"), CERTIFICATES_MAX)},
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
        {"nodes": ListOf(PROOF, NODE_IDS_MAX), "validator": PROOF},
    ),
)


def prove_possession(
    key: SigningKey, did: str, league: str, use: KeyUse, signed_at_s: int, x5c: tuple[str, ...] = ()
) -> str:
    """The proof that a member has a key, as a compact JWS by that key."""
    return POSSESSION.sign(Possession(did, key.public, league, use, x5c), key, signed_at_s)


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
