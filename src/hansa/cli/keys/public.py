"""What `hansa keys show` shows: the public halves of a marketplace's keys."""

from __future__ import annotations

import base64
from pathlib import Path

import msgspec

from hansa.core.keys import PublicJwk, SigningKey
from hansa.node.folder import MEMBER_KEY, NODE_KEY, TOKEN_KEY, VALIDATOR_KEY, agreement_keys
from hansa.node.settings.loading import load_settings
from hansa.node.validator.observing import read_observing
from hansa.pubsub.engine import read_key


class PublicKey(msgspec.Struct, frozen=True):
    """A key that signs JSON Web Signatures."""

    path: str
    kid: str
    algorithm: str
    thumbprint: str
    """RFC 7638, SHA-256, base64url."""
    jwk: PublicJwk


class NodePublicKey(msgspec.Struct, frozen=True):
    """The key of the engine on the peer-to-peer network."""

    path: str
    node_id: str
    public_key: str
    """Ed25519, base64."""


class ValidatorPublicKey(msgspec.Struct, frozen=True):
    """The key that signs blocks."""

    path: str
    address: str
    public_key: str
    """Base64."""
    is_observing: bool
    """Whether it signs nothing for now."""
    algorithm: str
    """`ed25519` or `ml-dsa-65`."""


class PublicKeys(msgspec.Struct, frozen=True):
    """All keys of a marketplace."""

    did: str
    name: str
    member: PublicKey
    token: PublicKey
    node: NodePublicKey
    validator: ValidatorPublicKey
    agreement: tuple[str, ...] = ()
    """Public keys for key agreement, the present one first; X25519, base64url."""


def public_keys(folder: Path) -> PublicKeys:
    """The public halves of all keys in a folder.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, naming the key that is missing, cannot be read or is damaged.
    """
    settings = load_settings(folder, {})
    member, token = (_public_key(folder / path) for path in (MEMBER_KEY, TOKEN_KEY))
    node, validator = read_key(folder / NODE_KEY), read_key(folder / VALIDATOR_KEY)
    return PublicKeys(
        did=settings.did,
        name=settings.name,
        member=member,
        token=token,
        node=NodePublicKey(str(folder / NODE_KEY), node.node_id, base64.b64encode(node.public).decode()),
        validator=ValidatorPublicKey(
            str(folder / VALIDATOR_KEY),
            validator.address,
            base64.b64encode(validator.public).decode(),
            read_observing(folder) is not None,
            validator.key_type,
        ),
        agreement=tuple(key.public for key in agreement_keys(folder)),
    )


def facts_of_keys(keys: PublicKeys) -> dict[str, str]:
    """Names and values, for a person."""
    return {
        "marketplace": keys.name,
        "DID": keys.did,
        "member": f"{keys.member.algorithm}, kid {keys.member.kid}, thumbprint {keys.member.thumbprint}",
        "token": f"{keys.token.algorithm}, kid {keys.token.kid}, thumbprint {keys.token.thumbprint}",
        "node": f"Ed25519, node id {keys.node.node_id}",
        "validator": f"{keys.validator.algorithm}, address {keys.validator.address}"
        + (", observes and signs nothing" if keys.validator.is_observing else ""),
        "validator key": keys.validator.public_key,
        "agreement": ", ".join(f"X25519, {key}" for key in keys.agreement) or "none",
    }


def _public_key(path: Path) -> PublicKey:
    key = SigningKey.load(path)
    return PublicKey(str(path), key.kid, key.public.algorithm, key.thumbprint, key.public)
