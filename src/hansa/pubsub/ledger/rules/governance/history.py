"""What is unique over all history, and where and by which keys a member was known when.

A DID, an endpoint, a node id, a key of any use and a prefix of identifiers belong to the first member
that registered them, for ever; its owner may go back to an endpoint, a node id or a validator's key that
it had before, but never to a signing key that it retired, or to a validator's key that was punished or
replaced.

Endpoints and signing keys are valid from a position on to another one, so that the location of an old
event, and the signature of an old batch, stay what they were.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from hansa.core.base64url import to_base64url
from hansa.core.canonical import canonical_json
from hansa.core.keys import PublicJwk
from hansa.pubsub.ledger.commitments.governance import KeyRecord, LocationRecord, Owner
from hansa.pubsub.ledger.rules.governance.refusals import TAKEN
from hansa.pubsub.ledger.rules.governance.tables import KEYS, LOCATIONS, OWNERS
from hansa.pubsub.ledger.state import Overlay, StateView

_POSITION_DIGITS: Final = 16
_ED25519_HEX_DIGITS: Final = 64


def next_position(state: StateView) -> int:
    """Position of the next event."""
    return state.position + 1


def claim_name(state: Overlay, kind: str, name: str, did: str) -> None:
    """Make something a member's for ever; nothing happens if it is already.

    Args:
        state: Gets the record.
        kind: `did`, `endpoint`, `material`, `node`, `prefix`, `proposal` or `validator`.
        name: What belongs to the member.
        did: The member's.

    Raises:
        RuleBroken: `TAKEN`.
    """
    key = f"{kind}/{name}"
    owner = OWNERS.get(state, key)
    if owner is None:
        OWNERS.put(state, key, Owner(did, next_position(state)))
    elif owner.owner != did or owner.retired:
        whose = f"belongs to {owner.owner}" if owner.owner != did else "was retired"
        raise TAKEN.broken(f"The {kind} {name} {whose}.")


def claim_prefix(state: Overlay, prefix: str, did: str) -> None:
    """Make a prefix of identifiers a member's for ever.

    Raises:
        RuleBroken: `TAKEN`, when it includes identifiers of another member, or the other way round.
    """
    for key, owner in OWNERS.items(state, "prefix/"):
        other = key.removeprefix("prefix/")
        if owner.owner != did and (other.startswith(prefix) or prefix.startswith(other)):
            raise TAKEN.broken(f"The prefix {prefix} includes identifiers of {owner.owner} ({other}).")
    claim_name(state, "prefix", prefix, did)


def retire_validator_key(state: Overlay, public_key: str, did: str) -> None:
    """Take note that nobody may have a validator's key again, its owner neither."""
    OWNERS.put(state, f"validator/{public_key}", Owner(did, next_position(state), retired=1))


def validator_key_owner(state: StateView, public_key: str) -> Owner | None:
    """Whose a validator's key is, or was."""
    return OWNERS.get(state, f"validator/{public_key}")


def key_material(jwk: PublicJwk) -> str:
    """The name of a public key whatever it is used for: its JWK thumbprint (RFC 7638), in hex."""
    fields = {"crv": jwk.crv, "kty": jwk.kty, "x": jwk.x} | ({"y": jwk.y} if jwk.y is not None else {})
    return hashlib.sha256(canonical_json(fields)).hexdigest()


def validator_material(public_key: str) -> str:
    """The same of a validator's key."""
    if len(public_key) != _ED25519_HEX_DIGITS:
        return hashlib.sha256(b"validator\x00" + public_key.encode("ascii")).hexdigest()
    x = to_base64url(bytes.fromhex(public_key))
    return key_material(PublicJwk("validator", "OKP", "Ed25519", x))


def begin_key(state: Overlay, did: str, jwk: PublicJwk) -> None:
    """Register a signing key, from the next event on.

    Raises:
        RuleBroken: `TAKEN`, when the key, or its name among the member's keys, was used before.
    """
    if KEYS.get(state, f"{did}/{jwk.kid}") is not None:
        raise TAKEN.broken(f"{did} has, or had, a key of the name {jwk.kid}.")
    material = f"material/{key_material(jwk)}"
    if OWNERS.get(state, material) is not None:
        raise TAKEN.broken(f"The key {jwk.kid} is, or was, registered already.")
    OWNERS.put(state, material, Owner(did, next_position(state)))
    KEYS.put(state, f"{did}/{jwk.kid}", KeyRecord(jwk, next_position(state)))


def end_key(state: Overlay, did: str, kid: str) -> None:
    """Take note that a signing key signs nothing from the next event on, if it signed anything until now."""
    record = KEYS.get(state, f"{did}/{kid}")
    assert record is not None, "a key is registered"
    if record.retired:
        return
    ended = msgspec.structs.replace(record, until=state.position, until_time_ms=0, retired=1)
    KEYS.put(state, f"{did}/{kid}", ended)


def overlap_key(state: Overlay, did: str, kid: str, until_time_ms: int) -> None:
    """Take note of until when a replaced key is valid."""
    record = KEYS.get(state, f"{did}/{kid}")
    assert record is not None, "a key is registered"
    KEYS.put(state, f"{did}/{kid}", msgspec.structs.replace(record, until_time_ms=until_time_ms))


def begin_location(state: Overlay, did: str, endpoint: str) -> None:
    """Register where a member serves, from the next event on.

    Raises:
        RuleBroken: `TAKEN`.
    """
    claim_name(state, "endpoint", endpoint, did)
    LOCATIONS.put(state, f"{did}/{next_position(state):0{_POSITION_DIGITS}}", LocationRecord(endpoint))
