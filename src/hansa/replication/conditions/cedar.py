"""Conditions of the operator: Cedar policies in two files of the marketplace's folder.

    policies/publish.cedar    action `publish`: what leaves this marketplace
    policies/consume.cedar    action `retrieve`, on the event, and `store`, on the entity: what is taken in

A marketplace without a file has no such conditions. With a file, what no policy permits is refused, and a
policy that forbids wins over all that permit. When a policy cannot be evaluated the answer is no, since in
Cedar alone a `forbid` with an error would not count.

A file is read whole or not at all: it has a bounded size and number of policies, each with an `@id` of its
own, and they agree with the schema (`schema.cedarschema`). Cedar has no loops, so an evaluation takes time by
the size of the policies and of what they look at, both of which are bounded; it is measured, and the answer
is cached by all that it depends on.
"""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec

from hansa.core.cache import Cache
from hansa.core.cedar import DescribedPolicy, Evaluations, invalid, policy_set, read_policies
from hansa.core.clock import Clock
from hansa.replication.conditions.subject import Subject
from hansa.replication.conditions.unmet import Unmet

if TYPE_CHECKING:
    from cedarpy import PolicySet

DECISIONS_CACHED_MAX: Final = 4096
SCHEMA_NAME: Final = "schema.cedarschema"

Action = Literal["publish", "retrieve", "store"]
FileName = Literal["publish.cedar", "consume.cedar"]
ACTIONS: Final[dict[FileName, tuple[Action, ...]]] = {
    "publish.cedar": ("publish",),
    "consume.cedar": ("retrieve", "store"),
}
"""By file, the actions that its policies are about."""
_CONTEXTS: Final[dict[Action, str]] = {"publish": "Described", "retrieve": "Announced", "store": "Described"}
_NOW: Final = re.compile(r"\bnow\b")
_ANYTHING: Final = {"op": "All"}


class PolicyOutcome(msgspec.Struct, frozen=True):
    """One policy, and whether it applies to a subject."""

    id: str
    effect: str
    """`permit` or `forbid`."""
    applies: bool
    error: str | None = None
    """Why it cannot be evaluated."""


class Decided(msgspec.Struct, frozen=True):
    """A decision; `unmet` None: all conditions are met."""

    unmet: Unmet | None


DecisionCache: TypeAlias = Cache[tuple[str, str, str, bytes], Decided]
"""Decisions by action, issuer, type and subject, which is all that they depend on."""


def decision_cache() -> DecisionCache:
    """An empty cache."""
    return Cache("condition_decisions", DECISIONS_CACHED_MAX)


def schema_of(name: FileName) -> str:
    """The Cedar schema of a file."""
    text = files(__package__).joinpath(SCHEMA_NAME).read_text(encoding="utf-8")
    actions = [
        f"action {action} appliesTo {{ principal: [Marketplace], resource: [Type], context: {_CONTEXTS[action]} }};"
        for action in ACTIONS[name]
    ]
    return "\n".join([text, *actions])


class PolicyFile:
    """The policies of one file.

    Args:
        name: Of the file.
        text: Its content.
        cache: Of decisions, which all files share.
        clock: Measures evaluations.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, naming the file, the place and the reason.
    """

    def __init__(self, name: FileName, text: str, cache: DecisionCache, clock: Clock) -> None:
        import cedarpy

        self.name: Final = name
        self.digest: Final = hashlib.sha256(text.encode()).hexdigest()
        self._described = _read(name, text)
        self._set: PolicySet = cedarpy.PolicySet.from_json_str(policy_set(self._described))
        self.is_open: Final = _is_open(tuple(self._described.values()))
        """Whether it is the one policy that permits everything."""
        self.needs_time: Final = _NOW.search(text) is not None
        """Whether a policy depends on the time."""
        self._permits = [name for name, one in self._described.items() if one["effect"] == "permit"]
        self._cache = cache
        self._clock = clock
        self.evaluations = Evaluations()

    def __len__(self) -> int:
        """How many policies there are."""
        return len(self._described)

    @property
    def effects(self) -> tuple[tuple[str, str], ...]:
        """Name and effect of each policy."""
        return tuple((name, one["effect"]) for name, one in self._described.items())

    def decide(self, action: Action, issuer: str, type_name: str, subject: Subject) -> Unmet | None:
        """The condition that a subject does not meet; None: the policies permit it.

        Args:
            action: One of the file.
            issuer: DID of the origin.
            type_name: Of the entity.
            subject: What is known of the entity.
        """
        assert action in ACTIONS[self.name], f"{self.name} says nothing about {action}"
        if self.is_open:
            return None
        if not subject.is_complete:
            return Unmet(self.name, "It has more values, or longer ones, than conditions are evaluated on.")
        key = (action, issuer, type_name, msgspec.json.encode(subject))
        answer = self._cache.get(key)
        if answer is None:
            answer = Decided(self._evaluated(*key))
            self._cache.put(key, answer)
        return answer.unmet

    def explain(
        self, action: Action, issuer: str, type_name: str, subject: Subject
    ) -> tuple[PolicyOutcome, ...]:
        """Each policy by itself, in the order of the file, and whether it applies."""
        import cedarpy

        context, outcomes = msgspec.json.encode(subject), []
        for name, described in self._described.items():
            policies = cedarpy.PolicySet.from_json_str(policy_set({name: described}))
            _, reasons, errors = _ask(policies, action, issuer, type_name, context)
            error = errors[0] if errors else None
            outcomes.append(PolicyOutcome(name, described["effect"], name in reasons, error))
        return tuple(outcomes)

    def _evaluated(self, action: str, issuer: str, type_name: str, context: bytes) -> Unmet | None:
        started_s = self._clock.monotonic()
        is_allowed, reasons, errors = _ask(self._set, action, issuer, type_name, context)
        took_s = self._clock.monotonic() - started_s
        before = self.evaluations
        self.evaluations = Evaluations(before.count + 1, before.seconds + took_s)
        if errors:
            return Unmet(self.name, f"A policy of {self.name} cannot be evaluated on it: {errors[0]}")
        if is_allowed:
            return None
        if reasons:
            policy = min(reasons)
            return Unmet(f"{self.name}#{policy}", f"The policy {policy} of {self.name} forbids it.")
        shown = ", ".join(self._permits[:5])
        reason = f"No policy of {self.name} permits it ({shown})."
        return Unmet(self.name, reason, is_final=False)


def _ask(
    policies: PolicySet, action: str, issuer: str, type_name: str, context: bytes
) -> tuple[bool, tuple[str, ...], tuple[str, ...]]:
    """Whether policies allow a request; which of them decided it; what could not be evaluated."""
    import cedarpy

    request = {
        "principal": {"type": "Marketplace", "id": issuer},
        "action": {"type": "Action", "id": action},
        "resource": {"type": "Type", "id": type_name},
        "context": context.decode(),
    }
    result = cedarpy.is_authorized(request, policies, "[]")
    diagnostics = result.diagnostics
    return result.allowed, tuple(map(str, diagnostics.reasons)), tuple(map(str, diagnostics.errors))


def _read(name: FileName, text: str) -> dict[str, DescribedPolicy]:
    """The policies of a file in Cedar's JSON form, by their ids, in the order of the file.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`.
    """
    source = f"policies/{name}"
    described = read_policies(source, text, schema_of(name))
    if not any(one["effect"] == "permit" for one in described.values()):
        raise invalid(
            source, "no policy permits anything; permit (principal, action, resource); permits the rest"
        )
    return described


def _is_open(policies: tuple[DescribedPolicy, ...]) -> bool:
    return all(
        one["effect"] == "permit"
        and all(one[part] == _ANYTHING for part in ("principal", "action", "resource"))
        and not one["conditions"]
        for one in policies
    )
