"""What the path of explained decisions does, for its description: `hansa.api.access`."""

from __future__ import annotations

from typing import Final

from hansa.api.access.explaining import EXPLAIN_PATH, ExplainedDecision
from hansa.api.descriptions.document import Answer, Operation

ACCESS_OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        "explainDecision",
        EXPLAIN_PATH,
        "Explain a decision about access",
        "Returns what the access policies decide about the caller, an entity that it may read and an action, and which "
        "policies apply. Operators ask about anybody, with `organization`, `power` and `role`.",
        {200: Answer("The decision.", (ExplainedDecision,))},
        (400, 401, 403, 404, 429, 500),
        access="token",
        parameters=("explainedId", "explainedAction", "organization", "power", "role"),
    ),
)
"""Of the routes of `hansa.api.access`."""
