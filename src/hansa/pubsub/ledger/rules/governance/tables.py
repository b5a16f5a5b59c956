"""The records of governance, by section."""

from __future__ import annotations

from typing import Final

from hansa.pubsub.ledger.commitments.governance import (
    AGENDA,
    DECISION,
    KEY_RECORD,
    LEAGUE,
    LOCATION,
    OPEN_PROPOSAL,
    OWNER,
    POWERS,
    SENDER,
    SUSPENSION,
    VOTE_RECORD,
)
from hansa.pubsub.ledger.state.records import RecordTable

SENDERS: Final = RecordTable("senders", SENDER)
PROPOSALS: Final = RecordTable("proposals", OPEN_PROPOSAL)
DECISIONS: Final = RecordTable("decisions", DECISION)
VOTES: Final = RecordTable("votes", VOTE_RECORD)
OWNERS: Final = RecordTable("history", OWNER)
KEYS: Final = RecordTable("history", KEY_RECORD, "key/")
LOCATIONS: Final = RecordTable("history", LOCATION, "location/")
SUSPENSIONS: Final = RecordTable("suspensions", SUSPENSION)
POWERS_BEFORE: Final = RecordTable("powers", POWERS)
TASKS: Final = RecordTable("agenda", AGENDA)
LEAGUES: Final = RecordTable("league", LEAGUE)
LEAGUE_KEY: Final = "league"
