"""Why versions that were requested are not stored, and whether that is evidence against their origin."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from hansa.core.errors import Code
from hansa.replication.exchange import ResponseLine

EXPECTED_ABSENCES: Final = frozenset({"superseded", "gone", "pending"})
"""Statuses of a response that an event explains which is on its way, or was committed just now."""
NEEDS_PROOF: Final = frozenset({Code.HASH_MISMATCH, Code.RETRIEVAL_MISSING})
"""What is evidence against an origin only if it has signed its answer: whatever stands between may have
changed it. What is wrong with bytes of the right hash, the event proves."""


class Rejection(msgspec.Struct, frozen=True):
    """Why an entity is not stored."""

    code: Code
    reason: str
    """A sentence for the operator."""
    state: Literal["pending", "skipped", "rejected"] = "rejected"
    """Of its retrieval from now on."""
    is_evidence: bool = True
    """Whether it is recorded against the issuer."""
    is_soon: bool = False
    """Whether the version can be expected within milliseconds."""


def unproved(rejection: Rejection) -> Rejection:
    """The same, if nobody has signed what was sent."""
    if rejection.code not in NEEDS_PROOF:
        return rejection
    return msgspec.structs.replace(rejection, is_evidence=False)


def absence(line: ResponseLine) -> Rejection:
    """What a line without an entity means."""
    reason = f"The origin says that the version is {line.status}."
    is_evidence = line.status not in EXPECTED_ABSENCES
    is_soon = line.status == "pending"
    return Rejection(Code.RETRIEVAL_MISSING, reason, "pending", is_evidence=is_evidence, is_soon=is_soon)
