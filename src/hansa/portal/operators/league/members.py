"""The other members: all of them as a map and a table, and one of them with what can be done about it.

/operator/members         the league
/operator/members/{did}   one member; POST pauses it, resumes it, has it attempted again, or takes a note
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, Protocol
from urllib.parse import quote

import msgspec
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hansa.core.errors import Code, Refused
from hansa.portal.frame.people import Visit, see
from hansa.portal.operators.league.league_map import LeagueMap, league_map
from hansa.portal.operators.operator_frame import OperatorFrame, requested_choice, requested_number
from hansa.portal.operators.places import OperatorPage

PAGE_SIZE: Final = 50
PAGES_MAX: Final = 10_000
NOTE_MAX_CHARS: Final = 2000
MEMBERS_PATH: Final = "/operator/members"

Condition = Literal["well", "behind", "failing", "wrong", "paused", "suspended", "gone"]
"""How a member does, by the worst of what is known."""


class MemberRow(msgspec.Struct, frozen=True, kw_only=True):
    """A member in the list."""

    did: str
    name: str
    endpoint: str
    status: str
    is_own: bool
    power: int
    condition: Condition
    lag: int = 0
    """Events from its oldest that waits here to the newest on the ledger."""
    heads: int = 0
    stored: int = 0
    pending: int = 0
    failed: int = 0
    deferred: int = 0
    rejected: int = 0
    wrong: int = 0
    """Records of what it sent that was not valid."""
    proved: int = 0
    """Those of them that others can be shown."""
    share: float | None = None
    """Of what was requested of it last that it had; None: nothing was."""
    latency_p50_ms: int | None = None
    latency_p95_ms: int | None = None
    failing_since: str | None = None
    problem: str | None = None
    paused_since: str | None = None


class ProgressThere(msgspec.Struct, frozen=True):
    """How far a member says to be with the entities of this marketplace."""

    position: int
    heads: int
    stored: int
    pending: int
    skipped: int
    rejected: int


class MemberKey(msgspec.Struct, frozen=True):
    """A signing key that a member has or had."""

    kid: str
    since: int
    """First position that it may have signed."""
    until: int | None
    """Last position; None while it is valid."""
    valid_until: str | None
    certificate: str
    """State of its certificate; empty: it has none."""
    certificate_expires: str | None


class MemberEndpoint(msgspec.Struct, frozen=True):
    """Where a member serves, from a position on."""

    since: int
    endpoint: str


class WrongAnswer(msgspec.Struct, frozen=True):
    """Something that a member sent that was not valid."""

    code: str
    reason: str
    count: int
    first_time: str
    last_time: str
    is_proved: bool


class MemberNote(msgspec.Struct, frozen=True):
    """What operators here noted about a member."""

    text: str
    time: str
    """When; RFC 3339."""


class MemberDetails(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of a member."""

    row: MemberRow
    country: str
    prefixes: tuple[str, ...]
    validator_key: str
    node_ids: tuple[str, ...]
    keys: tuple[MemberKey, ...]
    endpoints: tuple[MemberEndpoint, ...]
    attempts: int
    """Failures in a row."""
    next_attempt: str | None
    bound: str | None
    """Of this marketplace's bounds, the one that it has reached."""
    skipped: int
    deleted: int
    stored_bytes: int
    follower: ProgressThere | None
    follower_problem: str | None
    """Code of the reason why it does not say."""
    evidence: tuple[WrongAnswer, ...]
    """The newest."""
    note: MemberNote | None
    is_ledger_silent: bool
    """Whether keys and endpoints cannot be read now."""


class MemberReads(Protocol):
    """Knows the members, and does what operators decide about them."""

    async def members(self) -> tuple[MemberRow, ...]:
        """All of them, in the order of the registry; nobody is asked anything."""

    async def member(self, did: str, /) -> MemberDetails | None:
        """One of them, which is asked how far it is; None when the league has no such member."""

    async def pause(self, did: str, /) -> None:
        """Request nothing of it any more.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """

    async def resume(self, did: str, /) -> None:
        """Request of it again."""

    async def retry(self, did: str, /) -> int:
        """Have its retrievals attempted again at once; how many."""

    async def write_note(self, did: str, text: str, /) -> None:
        """Note something about it in place of what was noted before; empty: nothing.

        Raises:
            Refused: `Code.QUOTA_EXCEEDED`, when there are too many notes.
        """


class MembersPage(OperatorPage, frozen=True, kw_only=True):
    """For the template `league/members.html`."""

    members: tuple[MemberRow, ...]
    total: int
    sort: str
    number: int
    """Of the page, from 1."""
    last: int
    map: LeagueMap | None
    """None: there are too many members for one."""


class MemberPage(OperatorPage, frozen=True, kw_only=True):
    """For the template `league/member.html`."""

    member: MemberDetails
    note_max_chars: int = NOTE_MAX_CHARS


def _nothing(row: MemberRow) -> tuple[object, ...]:
    del row
    return ()


_ORDERS: Final[dict[str, Callable[[MemberRow], tuple[object, ...]]]] = {
    "registry": _nothing,
    "name": lambda row: (row.name.lower(), row.did),
    "lag": lambda row: (-row.lag, -row.pending),
    "failed": lambda row: (-row.failed, -row.rejected),
    "honesty": lambda row: (-row.wrong, -row.proved),
    "latency": lambda row: (row.latency_p50_ms is None, -(row.latency_p50_ms or 0)),
}
"""By what the list can be sorted: what needs to be looked at comes first."""


class MembersPages:
    """The handlers of these paths.

    Args:
        frame: Of pages for operators.
        members: Knows them.
    """

    def __init__(self, frame: OperatorFrame, members: MemberReads) -> None:
        self._frame = frame
        self._members = members

    def routes(self) -> list[BaseRoute]:
        """All of them."""
        guarded = self._frame.guarded
        return [
            Route(MEMBERS_PATH, guarded(self.all)),
            Route(f"{MEMBERS_PATH}/{{did}}", guarded(self.one)),
            Route(f"{MEMBERS_PATH}/{{did}}", guarded(self.act), methods=["POST"]),
        ]

    async def all(self, visit: Visit) -> Response:
        """`GET /operator/members`."""
        sort = requested_choice(visit, "sort", tuple(_ORDERS))
        number = requested_number(visit, "page", 1, 1, PAGES_MAX)
        members = await self._members.members()
        ordered = sorted(members, key=_ORDERS[sort])
        first = (number - 1) * PAGE_SIZE
        page = MembersPage(
            places=self._frame.places,
            members=tuple(ordered[first : first + PAGE_SIZE]),
            total=len(members),
            sort=sort,
            number=number,
            last=max(-(-len(members) // PAGE_SIZE), 1),
            map=league_map(members),
        )
        return self._frame.page(visit, "league/members.html", page)

    async def one(self, visit: Visit) -> Response:
        """`GET /operator/members/{did}`."""
        page = MemberPage(places=self._frame.places, member=await self._known(visit))
        return self._frame.page(visit, "league/member.html", page)

    async def act(self, visit: Visit) -> Response:
        """`POST /operator/members/{did}`."""
        members, did = self._members, visit.request.path_params["did"]
        row = next((one for one in await members.members() if one.did == did), None)
        if row is None:
            raise _unknown()
        act = visit.form.one("act")
        if row.is_own and act != "note":
            raise Refused(Code.INVALID, "This marketplace requests nothing of itself.")
        if act == "pause":
            await self._frame.carry_out(visit, "member-pause", did, lambda: members.pause(did))
        elif act == "resume":
            await self._frame.carry_out(visit, "member-resume", did, lambda: members.resume(did))
        elif act == "retry":
            await self._frame.carry_out(visit, "member-retry", did, lambda: members.retry(did))
        elif act == "note":
            text = visit.form.one("note").replace("\r\n", "\n").strip()
            if len(text) > NOTE_MAX_CHARS:
                raise Refused(Code.INVALID, f"A note has {NOTE_MAX_CHARS} characters at most.")
            await self._frame.carry_out(visit, "member-note", did, lambda: members.write_note(did, text))
        else:
            raise Refused(Code.INVALID, "act is pause, resume, retry or note.")
        return see(f"{MEMBERS_PATH}/{quote(did, safe='')}")

    async def _known(self, visit: Visit) -> MemberDetails:
        member = await self._members.member(visit.request.path_params["did"])
        if member is None:
            raise _unknown()
        return member


def _unknown() -> Refused:
    return Refused(Code.NOT_FOUND, "The league has no member with this DID; /operator/members lists them.")
