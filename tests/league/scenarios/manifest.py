"""What a scenario is: the content of its TOML file, checked when it is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from hansa.pubsub.engine.keys import KeyType
from tests.league.harness import Role

FOLDER: Final = Path(__file__).parent / "manifests"

Ledger = Literal["goes on", "halts", "may halt"]
"""What the ledger does while a perturbation lasts, once it has had time to notice it."""
Network = Literal["loopback", "namespaces"]


class Perturbation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do"):
    """Something that is done to members of the league; numbers of members begin with 1."""

    at_s: float
    """From the beginning of the load."""
    for_s: float = 0.0
    """How long it lasts; 0: it has no duration."""
    ledger: Ledger = "goes on"
    resumes_within_s: float = 60.0
    """From its end until new events are ordered and every honest member has them."""

    @property
    def victims(self) -> tuple[int, ...]:
        """Members that cannot be expected to respond while it lasts."""
        return ()


class Kill(Perturbation, frozen=True, kw_only=True, tag="kill"):
    """SIGKILL of all processes of some members, at once; they are started again at the end."""

    members: tuple[int, ...]

    @property
    def victims(self) -> tuple[int, ...]:
        """They do not run."""
        return self.members


class Restart(Perturbation, frozen=True, kw_only=True, tag="restart"):
    """SIGTERM of some members, at once; they are started again as soon as all have ended."""

    members: tuple[int, ...]

    @property
    def victims(self) -> tuple[int, ...]:
        """They do not run."""
        return self.members


class Pause(Perturbation, frozen=True, kw_only=True, tag="pause"):
    """SIGSTOP of processes of some members, and SIGCONT at the end."""

    members: tuple[int, ...]
    roles: tuple[Role, ...] = ("serve", "ledger", "cometbft")

    @property
    def victims(self) -> tuple[int, ...]:
        """They do nothing."""
        return self.members


class Degrade(Perturbation, frozen=True, kw_only=True, tag="degrade"):
    """Packets between some members and everybody are lost and late. Needs `network = "namespaces"`."""

    members: tuple[int, ...]
    loss: float
    """Share of the packets in each direction."""
    delay_ms: float
    """In each direction."""


class Partition(Perturbation, frozen=True, kw_only=True, tag="partition"):
    """Packets between groups are lost silently. Needs `network = "namespaces"`."""

    groups: tuple[tuple[int, ...], ...]


class FillDisk(Perturbation, frozen=True, kw_only=True, tag="fill disk"):
    """The file system of a member, a small one of its own, is filled to the last byte."""

    member: int

    @property
    def victims(self) -> tuple[int, ...]:
        """It refuses writes."""
        return (self.member,)


class Double(Perturbation, frozen=True, kw_only=True, tag="double"):
    """A second engine signs with the validator key of a member, and contradicts it."""

    member: int


class Stranger(Perturbation, frozen=True, kw_only=True, tag="stranger"):
    """An engine whose node key is nobody's tries to connect to everybody."""


class Flood(Perturbation, frozen=True, kw_only=True, tag="flood"):
    """A member floods the ledger, in each of these ways at once (`tests.soak.attacker`)."""

    member: int
    ways: tuple[Literal["flood", "forge", "steal"], ...] = ("flood", "forge")


class Upgrade(Perturbation, frozen=True, kw_only=True, tag="upgrade"):
    """The league goes on by other rules at a height that one member has not set; it does so at the end."""

    height: int
    late: int

    @property
    def victims(self) -> tuple[int, ...]:
        """Its ledger stands still."""
        return (self.late,)


class Command(Perturbation, frozen=True, kw_only=True, tag="command"):
    """The operator of a member runs a command of `hansa`, which succeeds."""

    member: int
    arguments: tuple[str, ...]
    """`{folder}` and `{port}` stand for those of the member."""


class Join(Perturbation, frozen=True, kw_only=True, tag="join"):
    """A marketplace joins by the operators' commands, is given voting power, and follows everything."""

    member: int
    """Its number: the one after those of the members so far."""
    power: int = 10


AnyPerturbation = (
    Kill
    | Restart
    | Pause
    | Degrade
    | Partition
    | FillDisk
    | Double
    | Stranger
    | Flood
    | Upgrade
    | Command
    | Join
)


class Changed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A member that is not as the product makes it."""

    member: int
    application: Literal["", "proposer", "contrary", "liar"] = ""
    """A changed ledger application (`tests.league.hostile_ledger`); such a member is not honest."""
    clock_s: float = 0.0
    """By how much the clocks of its marketplace and of its ledger application are wrong."""
    engine_clock_s: float = 0.0
    """By how much the clock of its engine is wrong (`tests.league.engine_clock`)."""


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A manifest."""

    about: str
    members: int
    load_s: float
    """How long offerings are created."""
    creates_per_s: float = 2.0
    """At each honest member."""
    is_short: bool = False
    """Whether it is one of those that run with every change."""
    network: Network = "loopback"
    validator_key_type: KeyType = "ed25519"
    heartbeat_s: int = 10
    changed: tuple[Changed, ...] = ()
    perturbations: tuple[AnyPerturbation, ...] = ()
    convicted: tuple[int, ...] = ()
    """Members that lose their voting power, by evidence."""
    leaving: tuple[int, ...] = ()
    """Members that leave; nothing is created there, and nothing is expected of them."""

    def __post_init__(self) -> None:
        """Refuse numbers of members that the league does not have, and packets lost where none can be."""
        numbers = set(range(1, self.members + 1)) | set(self.newcomers)
        assert len(numbers) == self.members + len(self.newcomers), "newcomers have numbers of their own"
        used = {one for each in self.perturbations for one in involved(each)} | set(self.dishonest)
        assert used <= numbers, f"there are no members {sorted(used - numbers)}"
        assert self.network == "namespaces" or not any(
            isinstance(each, Degrade | Partition) for each in self.perturbations
        ), "packets are lost in network namespaces alone"
        assert all(each.at_s + each.for_s < self.load_s for each in self.perturbations), "the load ends last"

    @property
    def newcomers(self) -> tuple[int, ...]:
        """Members that join while it lasts, in the order of their numbers."""
        return tuple(sorted(each.member for each in self.perturbations if isinstance(each, Join)))

    @property
    def upgrade(self) -> Upgrade | None:
        """The change of rules, if there is one: the league is founded under the rules before."""
        return next((each for each in self.perturbations if isinstance(each, Upgrade)), None)

    @property
    def dishonest(self) -> tuple[int, ...]:
        """Members from which nothing is expected."""
        attacking = {each.member for each in self.perturbations if isinstance(each, Double | Flood)}
        changed = {one.member for one in self.changed if one.application}
        return tuple(sorted(changed | attacking | set(self.leaving)))

    @property
    def honest(self) -> tuple[int, ...]:
        """All others."""
        return tuple(number for number in range(1, self.members + 1) if number not in self.dishonest)


def involved(perturbation: AnyPerturbation) -> Sequence[int]:
    """The members that a perturbation names."""
    if isinstance(perturbation, Partition):
        return [number for group in perturbation.groups for number in group]
    if isinstance(perturbation, FillDisk | Double | Flood | Command | Join):
        return (perturbation.member,)
    if isinstance(perturbation, Upgrade):
        return (perturbation.late,)
    return () if isinstance(perturbation, Stranger) else perturbation.members


def scenario_names() -> list[str]:
    """Every scenario there is."""
    return sorted(file.stem for file in FOLDER.glob("*.toml"))


def read_scenario(name: str) -> Scenario:
    """A scenario by its name."""
    return msgspec.toml.decode((FOLDER / f"{name}.toml").read_bytes(), type=Scenario)
