"""What the paths about confidential entities do, for their description: `hansa.api.confidential`."""

from __future__ import annotations

from typing import Final

from hansa.api.confidential.serving import ConfidentialReport
from hansa.api.descriptions.document import Answer, Operation
from hansa.api.replicas import EmptyRequest, RestoreRequest, WithdrawResponse
from hansa.replication.confidential.exchange import CONFIDENTIAL_PATH, PartLine, PartsRequest
from hansa.replication.confidential.return_exchange import LOST_PATH, LostRequest, ReturnLine
from hansa.replication.continuity.sealed_restoration import ReturnedPart
from hansa.replication.exchange import JSON_LINES

CONFIDENTIAL_OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        "retrieveSealedParts",
        CONFIDENTIAL_PATH,
        "Retrieve what is sealed for a member",
        "Returns the encrypted bytes of sealed events, a line for each, to the member that signs the request, if the events "
        "are addressed to it. Of all others the line says `unknown`.",
        {200: Answer("A line for each event, in the order of the request.", (PartLine,), (JSON_LINES,))},
        (400, 401, 413, 415, 429, 500),
        method="post",
        access="signed",
        body=PartsRequest,
    ),
    Operation(
        "openLostEvents",
        LOST_PATH,
        "Open sealed events for the member that sealed them",
        "Returns what the member that signs the request has sealed for this marketplace, sealed for that member: a store "
        "that was lost has neither the keys of its sealed events nor their bytes. Of all other events the line says "
        "`unknown`.",
        {200: Answer("A line for each position, in the order of the request.", (ReturnLine,), (JSON_LINES,))},
        (400, 401, 413, 415, 429, 500, 503),
        method="post",
        access="signed",
        body=LostRequest,
    ),
    Operation(
        "restoreConfidentialEntities",
        "/league/v1/lost/restore-confidential",
        "Take confidential entities that the store has lost from their recipients",
        "Has the other members open some sealed events of this marketplace, verifies what they send by the events on the "
        "ledger, and stores what holds: `hansa restore --from-league` asks for one part after the other. It may be "
        "repeated at any time.",
        {200: Answer("What came back, and how many events nobody opened.", (ReturnedPart,))},
        (400, 401, 403, 413, 415, 429, 500, 503),
        method="post",
        access="operator",
        body=RestoreRequest,
    ),
    Operation(
        "withdrawConfidentialEntities",
        "/league/v1/lost/withdraw-confidential",
        "Withdraw confidential entities of which nobody has the bytes",
        "Has recipients remove what the last restoration of confidential entities found nowhere: they would request it of "
        "this marketplace for ever.",
        {200: Answer("How many are withdrawn.", (WithdrawResponse,))},
        (400, 401, 403, 413, 415, 429, 500),
        method="post",
        access="operator",
        body=EmptyRequest,
    ),
    Operation(
        "listConfidentialProblems",
        CONFIDENTIAL_PATH,
        "List confidential entities that do not arrive",
        "Returns what was sent to this marketplace and is not here, and what of this marketplace does not reach everybody "
        "for whom it is, with the reasons. For operators.",
        {200: Answer("Both lists.", (ConfidentialReport,))},
        (400, 401, 403, 429, 500),
        access="operator",
        parameters=("after", "limit"),
    ),
)
"""Of the routes of `hansa.api.confidential`, and of what a store has lost of confidential entities."""
