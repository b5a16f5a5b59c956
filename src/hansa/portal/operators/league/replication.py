"""What of other members is not stored here, and why.

/operator/replication   entities by state, one entity with its reasons; POST has retrievals attempted again
"""

from __future__ import annotations

from typing import Final, Protocol

import msgspec
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hansa.core.errors import Code, Refused
from hansa.portal.frame.people import Visit, see
from hansa.portal.operators.operator_frame import OperatorFrame, requested_choice, requested_number
from hansa.portal.operators.paging import address
from hansa.portal.operators.places import OperatorPage

PAGE_SIZE: Final = 100
POSITION_MAX: Final = 2**53 - 1
NAME_MAX_CHARS: Final = 512
REPLICATION_PATH: Final = "/operator/replication"
STATES: Final = ("all", "waiting", "failed", "deferred", "skipped", "rejected")
RETRIED: Final = {
    "all": ("pending", "deferred", "skipped", "rejected"),
    "waiting": ("pending",),
    "failed": ("pending",),
    "deferred": ("deferred",),
    "skipped": ("skipped",),
    "rejected": ("rejected",),
}
"""By what is shown: in which states of the store it is, and is attempted again."""


class ReplicaState(msgspec.Struct, frozen=True):
    """An entity of another member, and its state here."""

    issuer: str
    issuer_name: str
    key: str
    entity_id: str
    """Empty unless a version of it is in the store."""
    type: str
    state: str
    """`waiting`, `failed`, or as the store has it."""
    version: int
    position: int
    attempts: int
    next_attempt: str | None
    code: str
    reason: str
    """Of the rule or the failure."""


class ReplicaPage(msgspec.Struct, frozen=True):
    """Some of them, in the order of the ledger."""

    replicas: tuple[ReplicaState, ...]
    next_after: int | None
    """Position to continue after; None at the end."""


class ReplicaReads(Protocol):
    """Knows the states, and has retrievals attempted again."""

    async def page(self, state: str, origin: str | None, after: int, limit: int, /) -> ReplicaPage:
        """Those in one of `STATES` after a position; `origin`: of one member alone."""

    async def why(self, entity: str, /) -> tuple[ReplicaState, ...]:
        """The states of one entity, by its identifier or its ledger key, at all members that claim it."""

    async def retry(self, states: tuple[str, ...], origin: str | None, entity: str | None, /) -> int:
        """Have retrievals attempted again at once; how many."""

    def origins(self) -> tuple[tuple[str, str], ...]:
        """DIDs and names of the other members."""


class ReplicationPage(OperatorPage, frozen=True, kw_only=True):
    """For the template `league/replication.html`."""

    state: str
    origin: str
    entity: str
    """What was asked about; empty: nothing."""
    page: ReplicaPage
    origins: tuple[tuple[str, str], ...]
    retried: int | None
    """How many retrievals an operator has just had attempted again."""


class ReplicationPages:
    """The handlers of this path.

    Args:
        frame: Of pages for operators.
        replicas: Knows their states.
    """

    def __init__(self, frame: OperatorFrame, replicas: ReplicaReads) -> None:
        self._frame = frame
        self._replicas = replicas

    def routes(self) -> list[BaseRoute]:
        """All of them."""
        return [
            Route(REPLICATION_PATH, self._frame.guarded(self.states)),
            Route(REPLICATION_PATH, self._frame.guarded(self.retry), methods=["POST"]),
        ]

    async def states(self, visit: Visit) -> Response:
        """`GET /operator/replication`."""
        query = visit.request.query_params
        state = requested_choice(visit, "state", STATES)
        origin = self._origin(query.get("origin", ""))
        entity = _entity(query.get("entity", ""))
        after = requested_number(visit, "after", 0, 0, POSITION_MAX)
        retried = requested_number(visit, "retried", -1, 0, POSITION_MAX)
        if entity:
            page = ReplicaPage(await self._replicas.why(entity), None)
        else:
            page = await self._replicas.page(state, origin or None, after, PAGE_SIZE)
        shown = ReplicationPage(
            places=self._frame.places,
            state=state,
            origin=origin,
            entity=entity,
            page=page,
            origins=self._replicas.origins(),
            retried=None if retried < 0 else retried,
        )
        return self._frame.page(visit, "league/replication.html", shown)

    async def retry(self, visit: Visit) -> Response:
        """`POST /operator/replication`."""
        state, form = visit.form.one("state") or STATES[0], visit.form
        if state not in STATES:
            raise Refused(Code.INVALID, f"state is one of {', '.join(STATES)}.")
        origin, entity = self._origin(form.one("origin")), _entity(form.one("entity"))
        about = entity or (f"{state} {origin}" if origin else state)
        count = await self._frame.carry_out(
            *(visit, "retrieval-retry", about),
            lambda: self._replicas.retry(RETRIED[state], origin or None, entity or None),
        )
        fields = {"state": state, "origin": origin, "entity": entity, "retried": str(count)}
        return see(address(REPLICATION_PATH, fields))

    def _origin(self, did: str) -> str:
        if did and all(did != known for known, _ in self._replicas.origins()):
            raise Refused(Code.INVALID, "origin is the DID of another member of the league.")
        return did


def _entity(text: str) -> str:
    """What names an entity: an identifier, or a ledger key.

    Raises:
        Refused: `Code.INVALID`.
    """
    name = text.strip()
    if len(name) > NAME_MAX_CHARS or not name.isprintable():
        raise Refused(Code.INVALID, f"An identifier has {NAME_MAX_CHARS} characters at most.")
    return name
