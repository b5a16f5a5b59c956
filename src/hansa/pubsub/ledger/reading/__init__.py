"""Reading the ledger's state beside the process that writes it.

`LedgerReader` answers from one read-only connection, each answer from one block. `LedgerFile` has such a
connection to a file that may be missing, replaced or damaged; `ReaderPool` reads it in worker threads, within
bounds. Nobody who reads gets in the way of consensus: not of its process, nor of its connections.
"""

from hansa.pubsub.league.state import RegistryState
from hansa.pubsub.ledger.reading.file import LedgerFile
from hansa.pubsub.ledger.reading.pool import OWN_LANE, Lane, ReaderPool, strangers_lane
from hansa.pubsub.ledger.reading.reader import (
    IssuerBatch,
    IssuerPositions,
    LedgerHead,
    LedgerReader,
    content_digest,
)
from hansa.pubsub.ledger.reading.search import check_filter
from hansa.pubsub.ledger.reading.times import time_ms_of

__all__ = [
    "OWN_LANE",
    "IssuerBatch",
    "IssuerPositions",
    "Lane",
    "LedgerFile",
    "LedgerHead",
    "LedgerReader",
    "ReaderPool",
    "RegistryState",
    "check_filter",
    "content_digest",
    "strangers_lane",
    "time_ms_of",
]
