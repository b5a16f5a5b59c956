"""What is created at the honest members, and how far their ledgers are meanwhile."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tests.league.harness import CLOCK, OFFERINGS, UNANSWERED, RunningMember

REQUEST_TIMEOUT_S: Final = 6.0
SAMPLE_PAUSE_S: Final = 0.2
PAGE: Final = 500


class Load:
    """Creates offerings at members, one after the other at each."""

    def __init__(self, creates_per_s: float) -> None:
        self._pause_s = 1 / creates_per_s
        self.acknowledged: dict[str, str] = {}
        """Names of the offerings that were answered 201, by identifier."""
        self.attempted: set[str] = set()
        """Names of all; what was not answered may exist or not."""
        self.refused: int = 0
        """Answers other than 201, as on a full disk."""
        self.unanswered: int = 0

    async def create_at(self, member: RunningMember) -> None:
        """Create at a member until cancelled."""
        number = 0
        while True:
            number += 1
            name = f"{member.name} {number}"
            self.attempted.add(name)
            body = {"name": name, "lifecycleStatus": "Launched"}
            try:
                answer = await member.request(
                    "POST", OFFERINGS, body, with_token=True, timeout_s=REQUEST_TIMEOUT_S
                )
                if answer.status == 201:
                    self.acknowledged[answer.json()["id"]] = name
                else:
                    self.refused += 1
            except UNANSWERED:
                self.unanswered += 1
            await CLOCK.sleep(self._pause_s)


class Sample(msgspec.Struct, frozen=True):
    """How far a member's ledger was at a time."""

    at_s: float
    height: int
    position: int


class Progress:
    """How far the ledgers of members are, by their own account."""

    def __init__(self, members: tuple[RunningMember, ...]) -> None:
        self._members = members
        self.last: dict[str, Sample] = {}
        """By member."""
        self.grown: list[Sample] = [Sample(CLOCK.monotonic(), 0, 0)]
        """When the greatest position of all grew, and to which."""

    @property
    def position(self) -> int:
        """The greatest that any member has reported."""
        return self.grown[-1].position

    async def sample(self, member: RunningMember) -> None:
        """Sample a member until cancelled."""
        while True:
            status = await status_of(member)
            if status is not None and status["position"] is not None:
                one = Sample(CLOCK.monotonic(), status["height"], status["position"])
                self.last[member.name] = one
                if one.position > self.position:
                    self.grown.append(one)
            await CLOCK.sleep(SAMPLE_PAUSE_S)

    def lowest(self) -> int:
        """The position that all have."""
        return min((self.last[m.name].position if m.name in self.last else 0) for m in self._members)

    def growth_between(self, from_s: float, to_s: float) -> int:
        """How many events were ordered in a time."""
        before = max((one.position for one in self.grown if one.at_s <= from_s), default=0)
        after = max((one.position for one in self.grown if one.at_s <= to_s), default=0)
        return after - before


async def status_of(member: RunningMember, *, with_token: bool = False) -> Any:
    """A member's status; None when it does not respond."""
    if member.process is None or member.process.returncode is not None:
        return None
    try:
        answer = await member.request(
            "GET", "/league/v1/status", with_token=with_token, timeout_s=REQUEST_TIMEOUT_S
        )
    except UNANSWERED:
        return None
    return answer.json() if answer.status == 200 else None


async def offerings_of(member: RunningMember) -> dict[str, str]:
    """Names of all offerings that a member shows, by identifier."""
    names: dict[str, str] = {}
    while True:
        answer = await member.get(f"{OFFERINGS}?fields=name&limit={PAGE}&offset={len(names)}")
        if answer.status == 503:
            raise ConnectionError(f"{member.name} cannot answer now: {answer.body[:200]!r}")
        assert answer.status in {200, 206}, answer.body
        page = answer.json()
        names |= {one["id"]: one["name"] for one in page}
        if len(page) < PAGE:
            return names
