"""What the node's own paths do, for the description of the league (`hansa.api.descriptions.document`)."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from hansa.api.descriptions.document import Answer, Operation
from hansa.node.metrics import CONTENT_TYPE
from hansa.node.status import PublicStatus, StatusReport

STATUS_PATH: Final = "/league/v1/status"
OPENAPI_PATH: Final = "/league/v1/openapi.json"
ASYNCAPI_PATH: Final = "/league/v1/asyncapi.json"
_METRICS_TYPE: Final = CONTENT_TYPE.partition(";")[0]


class Alive(msgspec.Struct, frozen=True):
    """That the process answers."""

    status: Literal["alive"] = "alive"
    """Always `alive`."""


class ReadinessReport(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a marketplace can take traffic, and what is not as it should be."""

    status: Literal["ready", "degraded", "not ready"]
    """In a word: `degraded` serves, and yet something has to be looked at."""
    conditions: tuple[str, ...]
    """Codes of what is not as it should be; the operators' manual explains each."""
    reasons: tuple[str, ...]
    """The same for people; with names and figures for an operator."""
    notes: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    """What is known of the validator, for an operator."""


OWN_OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        "retrieveLiveness",
        "/livez",
        "Ask whether the process answers",
        "Answers 200 as long as the process runs its event loop. Members compare their clocks with its `Date`.",
        {200: Answer("The process answers.", (Alive,))},
        tag="operation",
    ),
    Operation(
        "retrieveReadiness",
        "/readyz",
        "Ask whether the marketplace can take traffic",
        "Answers 200 when it can, also when it is degraded, and 503 when it cannot, with the reasons.",
        {
            200: Answer("It can take traffic.", (ReadinessReport,)),
            503: Answer("It cannot take traffic.", (ReadinessReport,)),
        },
        tag="operation",
    ),
    Operation(
        "retrieveMetrics",
        "/metrics",
        "Read the figures",
        "Returns counters, gauges and histograms in the text form of Prometheus. It needs an operator's token; the "
        "listener of the setting `metrics_listen` serves them without one.",
        {200: Answer("The figures.", media_types=(_METRICS_TYPE,))},
        (401, 403),
        access="operator",
        tag="operation",
    ),
    Operation(
        "retrieveStatus",
        STATUS_PATH,
        "Read the state of the marketplace",
        "Returns this marketplace and its view of the league. Everybody gets what the ledger and the catalogue tell "
        "anyhow; an operator gets everything.",
        {200: Answer("The state.", (PublicStatus, StatusReport))},
        (401,),
        tag="operation",
    ),
    Operation(
        "retrieveLeagueDescription",
        OPENAPI_PATH,
        "Read this description",
        "Returns the OpenAPI document of what is no TM Forum API; each of those has one at its base path.",
        {200: Answer("The document.", (dict[str, Any],))},
        tag="description",
    ),
    Operation(
        "retrieveStreamsDescription",
        ASYNCAPI_PATH,
        "Read the description of the streams",
        "Returns the AsyncAPI document of the events and notifications that this marketplace sends.",
        {200: Answer("The document.", (dict[str, Any],))},
        tag="description",
    ),
)
"""Of every path that the node itself has."""
