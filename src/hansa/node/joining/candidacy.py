"""What a newcomer signs: that it wants to be a member, and that it has the keys it names."""

from __future__ import annotations

from pathlib import Path

from joserfc.jwk import OKPKey

from hansa.core.base64url import to_base64url
from hansa.core.governance.possession import (
    CANDIDACY,
    UNCERTIFIED,
    Candidacy,
    Certification,
    prove_possession,
)
from hansa.core.keys import SigningKey
from hansa.node.folder import MEMBER_KEY, NODE_KEY, VALIDATOR_KEY, MemberCard
from hansa.pubsub.engine import EngineKey, read_key
from hansa.pubsub.engine.keys import SEED_SIZE_BYTES


def candidacy_of(
    folder: Path, card: MemberCard, league: str, signed_at_s: int, certification: Certification = UNCERTIFIED
) -> str:
    """The candidacy of the marketplace in a folder, as a compact JWS.

    Args:
        folder: With its keys.
        card: What it says about itself; without voting power it runs no validator.
        league: Identifier of the league.
        signed_at_s: The claimed signing time, seconds since 1970.
        certification: What shows whose its key is; a did:elsi has it.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when a key cannot be read.
    """
    did, key = card.member.did, SigningKey.load(folder / MEMBER_KEY)
    nodes: tuple[str, ...] = ()
    if card.member.node_ids:
        node = engine_signing_key(read_key(folder / NODE_KEY))
        nodes = (prove_possession(node, did, league, "node", signed_at_s),)
    validator = ""
    if card.member.validator_key:
        owner = engine_signing_key(read_key(folder / VALIDATOR_KEY))
        validator = prove_possession(owner, did, league, "validator", signed_at_s)
    candidacy = Candidacy(
        did,
        card.member.endpoint,
        (prove_possession(key, did, league, "signing", signed_at_s, certification),),
        league,
        card.member.name,
        nodes,
        validator,
        agreement_key=card.member.agreement_key,
        country=card.member.country,
    )
    return CANDIDACY.sign(candidacy, key, signed_at_s)


def engine_signing_key(key: EngineKey) -> SigningKey:
    """An Ed25519 key of the engine, to sign a proof of its possession with."""
    assert key.key_type == "ed25519", "possession of other keys is not proved"
    x, d = to_base64url(key.public), to_base64url(key.private[:SEED_SIZE_BYTES])
    return SigningKey(OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": x, "d": d}))
