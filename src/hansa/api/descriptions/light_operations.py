"""What the paths for members without an engine do, for their description: `hansa.api.light_members`."""

from __future__ import annotations

from typing import Any, Final

from hansa.api.descriptions.document import Answer, Operation
from hansa.api.newcomers.history import OCTETS
from hansa.pubsub.ledger.reading.parts import StateParts
from hansa.pubsub.light_member.wire import BATCHES_PATH, STATE_PATH, TRANSACTIONS_PATH, SubmissionVerdict

_ERRORS: Final = (400, 429, 500, 503)

LIGHT_OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        "retrieveStateParts",
        STATE_PATH,
        "Read the state of the ledger in parts that prove themselves",
        "Returns the contents of all sections of the state, whose root is the application hash, and the records of those "
        "sections that the caller does not know. What has no room in one response is left out and requested again.",
        {200: Answer("The parts, of one state.", (StateParts,))},
        (*_ERRORS, 404),
        parameters=("known",),
    ),
    Operation(
        "listBatches",
        BATCHES_PATH,
        "Read the next batches of events",
        "Returns the signed batches that begin at the 4,096 positions after one, with their events, compressed (zlib), in "
        "the form of a segment of the history.",
        {200: Answer("The batches.", media_types=(OCTETS,))},
        (*_ERRORS, 404),
        parameters=("after",),
    ),
    Operation(
        "submitTransaction",
        TRANSACTIONS_PATH,
        "Submit a ledger transaction of a member without an engine",
        "Hands a transaction to the ledger application of this member, in a request that a member of the league signed. The "
        "verdict says whether it waits for a block, may be valid later, or breaks a rule.",
        {200: Answer("The verdict.", (SubmissionVerdict,))},
        (*_ERRORS, 401, 413, 415),
        method="post",
        access="member",
        body=dict[str, Any],
    ),
)
