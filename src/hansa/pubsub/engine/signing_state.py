"""What a validator signed last: `priv_validator_state.json`, the engine's guard against signing twice.

The engine signs nothing at or below the height, round and step that stand there, but for repeating the very
same vote. So a state that is *older* than what was signed is dangerous, and a state that is ahead is safe.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from hansa.core.bounded_json import UNREADABLE
from hansa.core.errors import Code, Fatal
from hansa.core.files import read_file, write_file
from hansa.pubsub.engine.keys import document

SIGNING_STATE: Final = Path("data/priv_validator_state.json")
"""Below the engine's home."""
DIGITS_MAX: Final = 19
"""Of a 64-bit height."""


class SigningState(msgspec.Struct, frozen=True, order=True):
    """The last height, round and step that were signed; ordered as the engine compares them."""

    height: int
    round: int = 0
    step: int = 0
    """1: proposal, 2: prevote, 3: precommit; 0: nothing at this height and round."""


class CommitVote(msgspec.Struct, frozen=True):
    """A vote in the commit of a block, for that block or for none."""

    address: str
    """Of the validator: 40 hexadecimal digits, upper case."""
    signature: str
    """Base64."""


class BlockSigners(msgspec.Struct, frozen=True):
    """Who had a part in a block."""

    height: int
    round: int
    """In which it was committed."""
    proposer: str
    """The address of the validator that made it."""
    votes: tuple[CommitVote, ...]
    validators: int
    """How many there were."""
    time_ms: int
    """Of the block, milliseconds since 1970."""

    def vote_of(self, address: str) -> CommitVote | None:
        """The vote of a validator; None when it is not in the commit."""
        return next((vote for vote in self.votes if vote.address == address), None)


PROPOSAL, PREVOTE, PRECOMMIT = 1, 2, 3
"""The steps of a round at which something is signed; commits hold precommits."""


_VOTE: Final = re.compile(
    r"Vote\{\d+:([0-9A-F]{12}) (\d{1,19})/(\d{1,10})/SIGNED_MSG_TYPE_(PREVOTE|PRECOMMIT)\b", re.ASCII
)
"""How CometBFT shows a vote: index and first 12 digits of the validator's address, height, round, kind."""
_STEPS: Final = {"PREVOTE": PREVOTE, "PRECOMMIT": PRECOMMIT}


def votes_of(address: str, shown: Iterable[str]) -> tuple[SigningState, ...]:
    """What a validator voted for, from votes as the engine shows them.

    Args:
        address: Of the validator: 40 hexadecimal digits, upper case.
        shown: As `dump_consensus_state` has them; `nil-Vote` where there is none.
    """
    matches = (match for match in map(_VOTE.match, shown) if match is not None)
    return tuple(
        SigningState(int(height), int(round_), _STEPS[kind])
        for prefix, height, round_, kind in (match.groups() for match in matches)
        if address.startswith(prefix)
    )


UNSIGNED: Final = SigningState(0)
"""Of a key that has never signed."""


def read_signing_state(home: Path) -> SigningState:
    """The last height, round and step that the validator of a home signed.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when the file is missing, cannot be read, or is damaged.
    """
    return _parsed(home, _read_state(home))


def parse_signing_state(content: bytes) -> SigningState | None:
    """What the content of a state file says; None when it is damaged."""
    try:
        fields: dict[str, Any] = msgspec.json.decode(content, type=dict[str, Any])
        height, round_, step = fields["height"], fields.get("round", 0), fields.get("step", 0)
    except (*UNREADABLE, KeyError):
        return None
    if not (isinstance(height, str) and height.isascii() and height.isdigit() and len(height) <= DIGITS_MAX):
        return None
    if not all(isinstance(number, int) and number >= 0 for number in (round_, step)):
        return None
    return SigningState(int(height), round_, step)


def read_last_signature(home: Path) -> tuple[SigningState, str]:
    """What the validator of a home signed last, and the signature, base64; empty when it has not signed.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when the file is missing, cannot be read, or is damaged.
    """
    content = _read_state(home)
    state = _parsed(home, content)
    fields = msgspec.json.decode(content, type=dict[str, Any])
    return state, str(fields.get("signature", ""))


def _read_state(home: Path) -> bytes:
    """The state file as it is at one moment: the engine replaces it at every signature."""
    return read_file(
        home / SIGNING_STATE,
        "Without it the validator must observe first; docs/operators/recover.md says how.",
    )


def _parsed(home: Path, content: bytes) -> SigningState:
    state = parse_signing_state(content)
    if state is None:
        raise Fatal(
            Code.SETTINGS_INVALID, f"{home / SIGNING_STATE} is damaged: it does not say what was signed last."
        )
    return state


def write_signing_state(home: Path, state: SigningState) -> None:
    """Write what was signed last, into the home of an engine that does not run.

    Raises:
        Fatal: `Code.DISK_FULL` or `Code.SETTINGS_INVALID`.
    """
    assert state >= UNSIGNED, "heights, rounds and steps count from 0"
    (home / SIGNING_STATE).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_file(home / SIGNING_STATE, signing_state_document(state))


def signing_state_document(state: SigningState) -> bytes:
    """The content of the file."""
    return document({"height": str(state.height), "round": state.round, "step": state.step})
