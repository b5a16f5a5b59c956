"""A simple model of governance, made from the words of its documentation and not from its code.

It knows members, powers, one limit, proposals, votes, suspensions and evidence. A step is one block with at
most one transaction. It is slow and plain on purpose.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any


@dataclass
class MemberModel:
    status: str = "active"
    power: int = 0
    is_emergency: bool = False
    again_ms: int = -1
    until_ms: int = -1
    is_punished: bool = False
    leaves: tuple[int, str] | None = None


@dataclass
class ProposalModel:
    name: str
    change: tuple[Any, ...]
    base: dict[str, Any]
    expires_height: int
    expires_ms: int
    votes: dict[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """The model says no."""


@dataclass
class Bounds:
    trust_ms: int
    suspension_ms: int
    life_ms: int
    open_per_proposer: int


class GovernanceModel:
    def __init__(self, members: dict[str, int], bounds: Bounds, time_ms: int) -> None:
        self.members = {did: MemberModel(power=power) for did, power in members.items()}
        self.former: set[str] = set()
        self.limit = 60
        self.bounds = bounds
        self.height, self.time_ms = 0, time_ms
        self.open: dict[str, ProposalModel] = {}
        self.proposers: dict[str, str] = {}
        self.outcomes: dict[str, str] = {}
        self.sets: list[tuple[int, dict[str, int]]] = []
        """Sets that were replaced, with the time of the block that did."""
        self._at_begin = self.powers()
        self._tally_at = -1

    # -- what is true --------------------------------------------------------------------------------------

    def powers(self) -> dict[str, int]:
        return {did: one.power for did, one in self.members.items() if one.power}

    def is_member(self, did: str) -> bool:
        return did in self.members and self.members[did].status in {"active", "suspended"}

    def element(self, name: str) -> Any:
        kind, _, did = name.partition("/")
        member = self.members.get(did)
        if kind == "param":
            return self.limit
        if member is None:
            return None
        if kind == "member":
            return "active" if member.is_emergency else member.status
        return member.power, member.is_punished and member.power == 0 and False

    def touched(self, change: tuple[Any, ...]) -> list[str]:
        kind, *rest = change
        if kind == "param":
            return ["param/x"]
        if kind == "admit" or change[0::2] == ("status", "removed"):
            return [f"member/{rest[0]}", f"power/{rest[0]}"]
        return [f"power/{rest[0]}" if kind == "power" else f"member/{rest[0]}"]

    # -- a block -------------------------------------------------------------------------------------------

    def begin(self, seconds: int, punished: str | None = None) -> None:
        self.height += 1
        self.time_ms += 1000 * seconds
        self._at_begin = self.powers()
        if punished is not None:
            self._punish(punished)
        for did, one in self.members.items():
            if one.leaves is not None and one.leaves[0] <= self.height:
                status, one.leaves = one.leaves[1], None
                if one.power == 0 and self.is_member(did):
                    one.status, one.is_emergency = status, False
        for name in [name for name, one in self.open.items() if self._is_over(one)]:
            self._close(name, "expired")
        if self._tally_at == self.height:
            self._tally_all()
        for one in self.members.values():
            if one.is_emergency and one.until_ms <= self.time_ms:
                one.is_emergency, one.status = False, "active"
        if self.powers() != self._at_begin or punished is not None:
            self._tally_all()

    def end(self) -> None:
        if self.powers() != self._at_begin:
            self.sets.append((self.time_ms, self._at_begin))

    def _is_over(self, proposal: ProposalModel) -> bool:
        return self.height > proposal.expires_height or self.time_ms > proposal.expires_ms

    def _punish(self, did: str) -> None:
        member = self.members[did]
        member.is_punished = True
        if member.power and any(one.power for other, one in self.members.items() if other != did):
            member.power = 0

    # -- transactions --------------------------------------------------------------------------------------

    def propose(self, proposer: str, proposal: ProposalModel) -> None:
        self._need_member(proposer)
        mine = [name for name in self.open if self.proposers[name] == proposer]
        life_ms = proposal.expires_ms - self.time_ms
        if self._is_over(proposal) or life_ms > self.bounds.life_ms:
            raise Refusal("life")
        if len(mine) >= self.bounds.open_per_proposer:
            raise Refusal("too many")
        if proposal.base != {name: self.element(name) for name in self.touched(proposal.change)}:
            raise Refusal("base")
        self._on_trial(proposal.change)
        self.open[proposal.name], self.proposers[proposal.name] = proposal, proposer

    def vote(self, voter: str, name: str, choice: str) -> None:
        self._need_member(voter)
        if name not in self.open:
            raise Refusal("unknown")
        if not self.members[voter].power:
            raise Refusal("no power")
        self.open[name].votes[voter] = choice
        self._tally(name)

    def leave(self, did: str) -> None:
        self._need_member(did)
        self._adopt(self._changed(lambda: self._start_leaving(did, "left")))
        self._tally_at = self.height + 1

    def _need_member(self, did: str) -> None:
        if not self.is_member(did):
            raise Refusal("no member")

    # -- deciding ------------------------------------------------------------------------------------------

    def _tally_all(self) -> None:
        for name in sorted(self.open):
            self._tally(name)

    def _tally(self, name: str) -> None:
        proposal = self.open[name]
        if self._is_over(proposal):
            self._close(name, "expired")
            return
        if proposal.base != {one: self.element(one) for one in proposal.base}:
            self._close(name, "void")
            return
        powers = self.powers()
        yes = sum(powers.get(did, 0) for did, choice in proposal.votes.items() if choice == "yes")
        parts = 3 if proposal.change[0] == "suspend" else 1.5
        if yes * parts <= sum(powers.values()):
            return
        try:
            self._adopt(self._on_trial(proposal.change))
        except Refusal:
            self._close(name, "failed")
            return
        self._close(name, "passed")
        self._tally_at = self.height + 1

    def _close(self, name: str, outcome: str) -> None:
        del self.open[name]
        self.outcomes[name] = outcome

    # -- changing ------------------------------------------------------------------------------------------

    def _on_trial(self, change: tuple[Any, ...]) -> tuple[int, dict[str, MemberModel]]:
        return self._changed(lambda: self._apply(change))

    def _changed(self, apply: Any) -> tuple[int, dict[str, MemberModel]]:
        """The state that a change makes; the present one stays."""
        limit, members, before = self.limit, self.members, self.powers()
        self.members = copy.deepcopy(members)
        try:
            apply()
            if self.powers() != before:
                self._check_powers(before)
            return self.limit, self.members
        finally:
            self.limit, self.members = limit, members

    def _adopt(self, changed: tuple[int, dict[str, MemberModel]]) -> None:
        self.limit, self.members = changed

    def _apply(self, change: tuple[Any, ...]) -> None:
        kind, *rest = change
        if kind == "param":
            self.limit = rest[0]
            return
        did = rest[0]
        if kind == "admit":
            if did not in self.members:
                self.members[did] = MemberModel(power=rest[1])
                return
            self._need_member(did)
            kind = "power" if rest[1] != self.members[did].power else "nothing"
        self._need_member(did)
        member = self.members[did]
        if kind == "power":
            if rest[1] and member.is_punished:
                raise Refusal("punished")
            member.power = rest[1]
        elif kind == "nothing":
            return
        elif kind == "suspend":
            if member.status != "active" or self.time_ms < member.again_ms:
                raise Refusal("suspended, or not long ago")
            member.status, member.is_emergency = "suspended", True
            member.until_ms = self.time_ms + 1000 * rest[1]
            member.again_ms = member.until_ms + self.bounds.suspension_ms
        elif rest[1] == "removed":
            member.status, member.is_emergency = "suspended", False
            self._start_leaving(did, "removed")
        else:
            member.status, member.is_emergency = rest[1], False

    def _start_leaving(self, did: str, status: str) -> None:
        member = self.members[did]
        if member.power:
            member.power, member.leaves = 0, (self.height + 3, status)
        else:
            member.status, member.is_emergency = status, False

    def _check_powers(self, before: dict[str, int]) -> None:
        after = self.powers()
        total = sum(after.values())
        if not total or (len(after) > 3 and max(after.values()) > total / 3):
            raise Refusal("powers")
        recent = [old for until_ms, old in self.sets if until_ms >= self.time_ms - self.bounds.trust_ms]
        for old in (*recent, self._at_begin, before):
            lost = sum(max(0, power - after.get(did, 0)) for did, power in old.items())
            gained = sum(max(0, power - old.get(did, 0)) for did, power in after.items())
            if max(lost, gained) > sum(old.values()) / 3:
                raise Refusal("changed too much")
