"""Proposals and votes, as their senders sign them."""

from __future__ import annotations

import hashlib
from typing import Final, Literal

import msgspec

from hansa.core.closed_json import FreeText, Text
from hansa.core.closed_structs import StructForm
from hansa.core.governance.changes import CHANGES
from hansa.core.governance.elements import BASE, BaseElement
from hansa.core.governance.forms import DID, HASH, HEIGHT, SEQ, TIME_MS, LeagueChange, SignedForm
from hansa.core.jws import CompactJws

Choice = Literal["no", "yes"]

NOTE_LENGTH_MAX_CHARS: Final = 512


class ChangeProposal(msgspec.Struct, frozen=True):
    """Changes that a member proposes."""

    base: tuple[BaseElement, ...]
    """The elements that the changes touch, as they were; ordered by name."""
    changes: tuple[LeagueChange, ...]
    expires_height: int
    """The last block in which it can be decided."""
    expires_time_ms: int
    """The latest time of a block in which it can be decided; milliseconds since 1970."""
    id: str
    """A UUIDv7, by which people speak of it."""
    league: str
    proposer: str
    """DID."""
    seq: int
    note: str = ""
    """Why, in words."""


class Vote(msgspec.Struct, frozen=True):
    """A member's vote on a proposal."""

    choice: Choice
    league: str
    proposal: str
    """Its hash (`proposal_hash`)."""
    seq: int
    voter: str
    """DID."""


PROPOSAL: Final = SignedForm(
    "application/vnd.hansa.proposal+json",
    StructForm(
        ChangeProposal,
        {
            "base": BASE,
            "changes": CHANGES,
            "expires_height": HEIGHT,
            "expires_time_ms": TIME_MS,
            "id": Text("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"),
            "league": HASH,
            "proposer": DID,
            "seq": SEQ,
        },
        {"note": FreeText(NOTE_LENGTH_MAX_CHARS)},
    ),
)
VOTE: Final = SignedForm(
    "application/vnd.hansa.vote+json",
    StructForm(Vote, {"choice": Text("no|yes"), "league": HASH, "proposal": HASH, "seq": SEQ, "voter": DID}),
)


def read_proposal(compact: str) -> tuple[ChangeProposal, CompactJws]:
    """A proposal, and its JWS, which is still to be verified.

    Raises:
        Refused: `Code.MALFORMED`.
    """
    return PROPOSAL.read(compact)


def read_vote(compact: str) -> tuple[Vote, CompactJws]:
    """A vote, and its JWS, which is still to be verified.

    Raises:
        Refused: `Code.MALFORMED`.
    """
    return VOTE.read(compact)


def proposal_hash(compact: str) -> str:
    """The name of a proposal: SHA-256 of its compact JWS, in hex."""
    return hashlib.sha256(compact.encode("ascii")).hexdigest()
