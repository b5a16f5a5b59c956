"""What a member states about itself, without anybody's vote: a closed union of actions, as data.

key.rotate      {overlap_s, proof, replaces?}   a new signing key; the one that it replaces is valid for
`overlap_s` more
key.revoke      {kid}                           a signing key is valid no more, at once
endpoint.set    {endpoint}                      where it serves its entities from now on
agreement.set   {key}                           another key with which events are sealed for it
nodes.set       {nodes}                         proofs of the keys of all its engines
leave           {}                              it gives up its power, and then its membership
upgrade.ready   {ruleset, version}              it runs a release that knows those rules
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from hansa.core.closed_json import Integer, ListOf, OneOf, Text
from hansa.core.closed_structs import StructForm
from hansa.core.governance.forms import DID, HASH, SEQ, SignedForm
from hansa.core.governance.possession import PROOF
from hansa.core.jws import KEY_ID, CompactJws
from hansa.core.members import AGREEMENT_KEY, ENDPOINT, NODE_IDS_MAX

OVERLAP_MAX_S: Final = 366 * 86_400


class MemberAction(msgspec.Struct, frozen=True, tag_field="action"):
    """What a member does about itself."""

    @property
    def kind(self) -> str:
        """Its name, as `key.rotate`."""
        return str(self.__struct_config__.tag)


class KeyRotate(MemberAction, frozen=True, tag="key.rotate"):
    """Register a new signing key."""

    proof: str
    """Of possession, by the new key."""
    overlap_s: int = 0
    """How long the replaced key stays valid; by block time. 0: it is valid no more at once."""
    replaces: str = ""
    """Name (kid) of the key that it replaces; empty: it is one more."""


class KeyRevoke(MemberAction, frozen=True, tag="key.revoke"):
    """Retire a signing key at once; another one must stay."""

    kid: str


class AgreementSet(MemberAction, frozen=True, tag="agreement.set"):
    """Have events sealed for another key from now on.

    Whoever registers a key that it does not have reads nothing, and nobody else does.
    """

    key: str
    """Public, for key agreement (`Member.agreement_key`)."""


class EndpointSet(MemberAction, frozen=True, tag="endpoint.set"):
    """Serve from another address."""

    endpoint: str


class NodesSet(MemberAction, frozen=True, tag="nodes.set"):
    """Run these engines and no others."""

    nodes: tuple[str, ...] = ()
    """Proofs of possession of their keys."""


class Leave(MemberAction, frozen=True, tag="leave"):
    """Leave the league."""


class UpgradeReady(MemberAction, frozen=True, tag="upgrade.ready"):
    """Run a release that knows other rules."""

    ruleset: str
    """As `hansa-ledger/5`."""
    version: str
    """Of the release, as `1.4.0`."""


class MemberStatement(msgspec.Struct, frozen=True):
    """A member's statement about itself."""

    action: MemberAction
    league: str
    member: str
    """DID."""
    seq: int


ACTION_FORMS: Final[Mapping[str, StructForm[Any]]] = MappingProxyType(
    {
        "agreement.set": StructForm(AgreementSet, {"key": AGREEMENT_KEY}),
        "endpoint.set": StructForm(EndpointSet, {"endpoint": ENDPOINT}),
        "key.revoke": StructForm(KeyRevoke, {"kid": KEY_ID}),
        "key.rotate": StructForm(
            KeyRotate, {"proof": PROOF}, {"overlap_s": Integer(0, OVERLAP_MAX_S), "replaces": KEY_ID}
        ),
        "leave": StructForm(Leave, {}),
        "nodes.set": StructForm(NodesSet, {}, {"nodes": ListOf(PROOF, NODE_IDS_MAX)}),
        "upgrade.ready": StructForm(
            UpgradeReady,
            {"ruleset": Text("[a-z0-9/-]{1,64}"), "version": Text("[A-Za-z0-9.+-]{1,64}")},
        ),
    }
)
"""The closed form of each kind of action."""

STATEMENT: Final = SignedForm(
    "application/vnd.hansa.statement+json",
    StructForm(
        MemberStatement,
        {
            "action": OneOf(ACTION_FORMS, lambda action: action.kind),
            "league": HASH,
            "member": DID,
            "seq": SEQ,
        },
    ),
)


def read_statement(compact: str) -> tuple[MemberStatement, CompactJws]:
    """A statement, and its JWS, which is still to be verified.

    Raises:
        Refused: `Code.MALFORMED`.
    """
    return STATEMENT.read(compact)
