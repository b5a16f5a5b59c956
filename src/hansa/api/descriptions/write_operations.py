"""What the paths of forwarded writes and of the audit log do, for their description."""

from __future__ import annotations

from typing import Final

from hansa.api.audit.log import AUDIT_PATH
from hansa.api.descriptions.document import Answer, Operation
from hansa.api.writes.monitors import MonitorReport
from hansa.core.forwarding import WRITES_PATH, ForwardedWrite, OriginAnswer
from hansa.replication.exchange import JSON_LINES

WRITE_OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        "forwardWrite",
        WRITES_PATH,
        "Forward a write",
        "Carries out a write of a member's caller to an entity of this marketplace, once for each `key`, when a rule of the "
        "operator lets that member forward it. The request is signed, and carries a delegation for its body.",
        {200: Answer("What was written.", (OriginAnswer,))},
        (400, 401, 403, 404, 405, 409, 412, 413, 415, 422, 429, 500, 503),
        method="post",
        access="member",
        parameters=("Write-Delegation",),
        body=ForwardedWrite,
    ),
    Operation(
        "retrieveForwardedWrite",
        f"{WRITES_PATH}/{{id}}",
        "Read what became of a write that waits for its origin",
        "Returns the monitor of a write to a replica that was queued since its origin could not be reached: for the subject "
        "that sent it, and for operators.",
        {200: Answer("The write and its outcome.", (MonitorReport,))},
        (400, 401, 403, 404, 429, 500),
        access="token",
        parameters=("write",),
    ),
    Operation(
        "listAuditRecords",
        AUDIT_PATH,
        "List records of the audit log",
        "Returns what this marketplace published, received, stored, skipped, refused, served and forwarded, in order: each "
        "record commits to all before it. `hansa audit export` reads it, and `hansa audit verify` verifies it.",
        {
            200: Answer(
                "Records.",
                media_types=(JSON_LINES,),
                headers=("x-chain-member", "x-chain-start", "x-last-record"),
            )
        },
        (400, 401, 403, 429, 500),
        access="operator",
        parameters=("afterRecord", "limit"),
    ),
)
"""Of the routes of `hansa.api.writes` and `hansa.api.audit`."""
