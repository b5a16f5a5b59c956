"""What the ledger stores and hashes of its governance, each in its closed form, by section and key.

senders      DID                   the last transaction of a member, and its quota
proposals    hash                  open proposals
decisions    hash                  closed ones
votes        hash/DID              the last vote of each voter; as long as the proposal or its decision
history      see `OWNER`           everything that is unique over all history, with its owner
suspensions  DID                   emergency suspensions
powers       height, 16 digits     the voting powers before the block of that height changed them
agenda       see `AGENDA`          what happens at a height or a time
league       "league"              the identifier of the league
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from hansa.core.batches import SEQ_MAX
from hansa.core.closed_json import FreeText, Integer, ListOf, Text
from hansa.core.closed_structs import StructForm
from hansa.core.governance.forms import DID, HASH, HEIGHT, TIME_MS, jws_text
from hansa.core.keys import PublicJwk
from hansa.core.members import ENDPOINT, POWER_MAX, PUBLIC_JWK

JWS_LENGTH_MAX_CHARS: Final = 1_048_576
"""Of what is stored; the limits of the league allow less."""
VALIDATORS_MAX: Final = 10_000
"""Validators of which an engine can collect votes."""
_NUMBER: Final = Integer(0, 2**53 - 1)
_JWS: Final = jws_text(JWS_LENGTH_MAX_CHARS)
_PROPOSAL_ID: Final = Text("[0-9a-f-]{36}")


class SenderRecord(msgspec.Struct, frozen=True):
    """The last governance transaction of a member."""

    did: str
    seq: int
    height: int = 0
    """Of the block with it."""
    transaction: str = ""
    """SHA-256 of its bytes, in hex."""
    level: int = 0
    """Of the bucket of its quota, in thousandths of a unit, at `level_time_ms`."""
    level_time_ms: int = 0


SENDER: Final = StructForm(
    SenderRecord,
    {"did": DID, "seq": Integer(0, SEQ_MAX)},
    {"height": HEIGHT, "level": _NUMBER, "level_time_ms": TIME_MS, "transaction": HASH},
)


class OpenProposal(msgspec.Struct, frozen=True):
    """A proposal that is not decided."""

    height: int
    """Of the block with it."""
    id: str
    jws: str
    proposer: str
    time_ms: int
    """Of that block."""


OPEN_PROPOSAL: Final = StructForm(
    OpenProposal, {"height": HEIGHT, "id": _PROPOSAL_ID, "jws": _JWS, "proposer": DID, "time_ms": TIME_MS}
)

Outcome = Literal["expired", "failed", "passed", "void"]


class ClosedProposal(msgspec.Struct, frozen=True):
    """A proposal that is closed."""

    height: int
    """Of the block that closed it."""
    outcome: Outcome
    """`expired`: not enough votes in time. `void`: what it was written against has changed. `failed`: it had
    its votes, and could not take effect any more."""
    proposal: OpenProposal
    time_ms: int
    """Of that block."""
    no_power: int = 0
    """Voting power that was against it."""
    reason: str = ""
    """Why it is void or failed."""
    total_power: int = 0
    """Of all voters then."""
    yes_power: int = 0


DECISION: Final = StructForm(
    ClosedProposal,
    {
        "height": HEIGHT,
        "outcome": Text("expired|failed|passed|void"),
        "proposal": OPEN_PROPOSAL,
        "time_ms": TIME_MS,
    },
    {"no_power": _NUMBER, "reason": FreeText(300), "total_power": _NUMBER, "yes_power": _NUMBER},
)


class VoteRecord(msgspec.Struct, frozen=True):
    """The last vote of a voter on a proposal."""

    choice: Literal["no", "yes"]
    height: int
    jws: str


VOTE_RECORD: Final = StructForm(VoteRecord, {"choice": Text("no|yes"), "height": HEIGHT, "jws": _JWS})


class Owner(msgspec.Struct, frozen=True):
    """To whom something belongs that nobody else may ever have."""

    owner: str
    """DID."""
    since: int
    """Position of the first event after it was registered."""
    retired: int = 0
    """1: its owner cannot have it again either."""


OWNER: Final = StructForm(Owner, {"owner": DID, "since": _NUMBER}, {"retired": Integer(0, 1)})
"""Keys: `did/<DID>`, `endpoint/<endpoint>`, `node/<node id>`, `prefix/<prefix>`, `validator/<hex>`,
`material/<hash of a public key>` and `proposal/<id>`."""


class KeyRecord(msgspec.Struct, frozen=True):
    """A signing key of a member, and the positions of the events that it may have signed."""

    jwk: PublicJwk
    since: int
    """First position."""
    until: int = 0
    """Last position; 0: it is valid. Less than `since`: it signed nothing."""
    until_time_ms: int = 0
    """When the overlap with its successor ends; 0: it has none."""
    retired: int = 0
    """1: it is valid no more."""


KEY_RECORD: Final = StructForm(
    KeyRecord,
    {"jwk": PUBLIC_JWK, "since": _NUMBER},
    {"retired": Integer(0, 1), "until": _NUMBER, "until_time_ms": TIME_MS},
)
"""Key: `key/<DID>/<kid>`."""


class LocationRecord(msgspec.Struct, frozen=True):
    """Where a member serves the events from a position on, until its next record."""

    endpoint: str


LOCATION: Final = StructForm(LocationRecord, {"endpoint": ENDPOINT})
"""Key: `location/<DID>/<first position, 16 digits>`."""


class SuspensionRecord(msgspec.Struct, frozen=True):
    """An emergency suspension."""

    again_time_ms: int
    """From when on there may be another one of the member."""
    until_time_ms: int
    """When it ends by itself."""
    ended: int = 0
    """1: it is over."""


SUSPENSION: Final = StructForm(
    SuspensionRecord, {"again_time_ms": TIME_MS, "until_time_ms": TIME_MS}, {"ended": Integer(0, 1)}
)


class PowerOf(msgspec.Struct, frozen=True):
    """A validator that votes."""

    address: str
    power: int


class PowersRecord(msgspec.Struct, frozen=True):
    """The voting powers as they were until a block."""

    powers: tuple[PowerOf, ...]
    until_time_ms: int
    """Time of the block that changed them."""


POWERS: Final = StructForm(
    PowersRecord,
    {
        "powers": ListOf(
            StructForm(PowerOf, {"address": Text("[0-9a-f]{40}"), "power": Integer(1, POWER_MAX)}),
            VALIDATORS_MAX,
        ),
        "until_time_ms": TIME_MS,
    },
)

Task = Literal["decision", "key", "leave", "proposal", "removal", "suspension", "tally"]


class AgendaRecord(msgspec.Struct, frozen=True):
    """What happens when its time has come."""

    subject: str
    task: Task


AGENDA: Final = StructForm(
    AgendaRecord,
    {
        "subject": Text(r"[!#-\[\]-~]{0,600}"),
        "task": Text("decision|key|leave|proposal|removal|suspension|tally"),
    },
)
"""Key: `height/<16 digits>/<task>/<subject>` or `time/<milliseconds, 16 digits>/<task>/<subject>`."""


class LeagueRecord(msgspec.Struct, frozen=True):
    """Which league this is."""

    id: str
    """`hansa.pubsub.ledger.genesis.league_id`."""


LEAGUE: Final = StructForm(LeagueRecord, {"id": HASH})

GOVERNANCE_FORMS: Final[Mapping[str, StructForm[Any]]] = {
    "agenda": AGENDA,
    "decision": DECISION,
    "key": KEY_RECORD,
    "league": LEAGUE,
    "location": LOCATION,
    "owner": OWNER,
    "powers": POWERS,
    "proposal": OPEN_PROPOSAL,
    "sender": SENDER,
    "suspension": SUSPENSION,
    "vote": VOTE_RECORD,
}
"""All of them, for the digest of the rules."""
