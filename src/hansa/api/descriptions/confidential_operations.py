"""What the paths about confidential entities do, for their description: `hansa.api.confidential`."""

from __future__ import annotations

from typing import Final

from hansa.api.confidential.serving import ConfidentialReport
from hansa.api.descriptions.document import Answer, Operation
from hansa.replication.confidential.exchange import CONFIDENTIAL_PATH, PartLine, PartsRequest
from hansa.replication.confidential.return_exchange import LOST_PATH, LostRequest, ReturnLine
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
"""Of the routes of `hansa.api.confidential`."""
