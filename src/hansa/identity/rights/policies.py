"""The access policies of a marketplace: the shipped defaults and the operator's files, as one set.

    policies/access/*.cedar          what the operator permits and forbids beside the defaults
    policies/access/default.cedar    takes the place of the shipped defaults
    policies/access/auth_policies.star
                                     a policy in Starlark, which has to allow as well

A forbid wins over all that permit, and what nothing permits is refused. When a policy cannot be evaluated the
answer is no, since in Cedar alone a `forbid` with an error would not count.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hansa.core.cedar import (
    FILE_SIZE_MAX_BYTES,
    DescribedPolicy,
    Evaluations,
    invalid,
    policy_set,
    read_policies,
)
from hansa.core.clock import Clock
from hansa.core.errors import Code, Fatal
from hansa.core.files import read_file
from hansa.identity.rights.resources import CALLER_ID, RESOURCE_ID
from hansa.identity.rights.starlark_policy import FILE_NAME, StarlarkPolicy

if TYPE_CHECKING:
    from cedarpy import PolicySet

DEFAULT_NAME: Final = "default.cedar"
SCHEMA_NAME: Final = "schema.cedarschema"
FILES_MAX: Final = 20
_NOW: Final = re.compile(r"\bnow\b")


class PolicyVerdict(msgspec.Struct, frozen=True):
    """What the policies say of one request."""

    is_allowed: bool
    policies: tuple[str, ...] = ()
    """Those that decided, as `file.cedar#id`."""
    problem: str | None = None
    """What could not be evaluated."""


class PolicyApplies(msgspec.Struct, frozen=True):
    """One policy, and whether it applies to a request."""

    policy: str
    """Name of the policy, as `file.cedar#id`."""
    effect: str
    """`permit` or `forbid`."""
    applies: bool
    """Whether its condition holds for the request."""
    error: str | None = None
    """Why it cannot be evaluated."""


def schema_text() -> str:
    """The Cedar schema of access policies."""
    return files(__package__).joinpath(SCHEMA_NAME).read_text(encoding="utf-8")


def default_text() -> str:
    """The shipped policies."""
    return files(__package__).joinpath(DEFAULT_NAME).read_text(encoding="utf-8")


def read_texts(folder: Path) -> dict[str, str]:
    """The operator's files, by name.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`: one cannot be read, or they are too many or too large.
    """
    if not folder.exists():
        return {}
    unknown = sorted(path.name for path in folder.glob("*.star") if path.name != FILE_NAME)
    if unknown:  # a misspelt name would leave its refusals out
        reason = f"{folder / unknown[0]} is read by nothing; the policy in Starlark is {FILE_NAME}."
        raise Fatal(Code.SETTINGS_INVALID, reason)
    paths = sorted(path for path in folder.iterdir() if path.suffix in {".cedar", ".star"})
    if len(paths) > FILES_MAX:
        raise Fatal(Code.SETTINGS_INVALID, f"{folder} has more than {FILES_MAX} files of policies.")
    texts: dict[str, str] = {}
    for path in paths:
        content = read_file(path)
        if len(content) > FILE_SIZE_MAX_BYTES:
            raise Fatal(Code.SETTINGS_INVALID, f"{path} has more than {FILE_SIZE_MAX_BYTES:,} bytes.")
        try:
            texts[path.name] = content.decode()
        except UnicodeDecodeError as error:
            raise Fatal(Code.SETTINGS_INVALID, f"{path} is not UTF-8: byte {error.start}.") from error
    return texts


class AccessPolicies:
    """All policies of a marketplace.

    Args:
        texts: The operator's files, by name.
        clock: Measures evaluations.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, naming the file, the place and the reason.
    """

    def __init__(self, texts: Mapping[str, str], clock: Clock) -> None:
        import cedarpy

        schema, shipped = schema_text(), default_text()
        self.files: Final = tuple(sorted(texts))
        star = texts.get(FILE_NAME)
        self.starlark: Final = None if star is None else StarlarkPolicy(FILE_NAME, star, clock)
        """Has to allow, too, whatever is asked by anybody but operators."""
        needs_time = any(_NOW.search(text) for text in texts.values())
        digest = hashlib.sha256(msgspec.json.encode(sorted({DEFAULT_NAME: shipped, **texts}.items())))
        texts = {name: text for name, text in texts.items() if name != FILE_NAME}
        self._described: dict[str, DescribedPolicy] = {}
        named = {DEFAULT_NAME: shipped, **texts}
        for name in sorted(named, key=lambda one: (one != DEFAULT_NAME, one)):
            described = read_policies(f"policies/access/{name}", named[name], schema)
            self._described |= {f"{name}#{id}": one for id, one in described.items()}
        if not any(one["effect"] == "permit" for one in self._described.values()):
            raise invalid("policies/access", "no policy permits anything")
        self._set: PolicySet = cedarpy.PolicySet.from_json_str(policy_set(self._described))
        self.digest: Final = digest.hexdigest()
        self.is_shipped: Final = named == {DEFAULT_NAME: shipped} and self.starlark is None
        """Whether they are the shipped ones, of which much is known without an evaluation."""
        self.needs_time: Final = needs_time
        own = [one for name, one in self._described.items() if not name.startswith(f"{DEFAULT_NAME}#")]
        is_default = named[DEFAULT_NAME] == shipped
        is_silent = not any(map(_is_on_reads, own)) and self.starlark is None
        self.reads_as_shipped: Final = is_default and is_silent
        """Whether reading is decided by the shipped policies alone."""
        self.only_forbids_reads: Final = is_default and not any(
            one["effect"] == "permit" and _is_on_reads(one) for one in own
        )
        """Whether the operator's files only take away of what may be read."""
        self._clock = clock
        self.evaluations = Evaluations()

    def __len__(self) -> int:
        """How many policies there are."""
        return len(self._described)

    @property
    def effects(self) -> tuple[tuple[str, str], ...]:
        """Name and effect of each policy."""
        return tuple((name, one["effect"]) for name, one in self._described.items())

    def decide(
        self, action: str, caller: dict[str, Any], resource: dict[str, Any], context: dict[str, Any]
    ) -> PolicyVerdict:
        """What the policies say of one request."""
        started_s = self._clock.monotonic()
        verdict = _ask(self._set, action, caller, resource, context)
        took_s = self._clock.monotonic() - started_s
        before = self.evaluations
        self.evaluations = Evaluations(before.count + 1, before.seconds + took_s)
        return verdict

    def explain(
        self, action: str, caller: dict[str, Any], resource: dict[str, Any], context: dict[str, Any]
    ) -> tuple[PolicyApplies, ...]:
        """Each policy by itself, and whether it applies."""
        import cedarpy

        outcomes: list[PolicyApplies] = []
        for name, described in self._described.items():
            alone = cedarpy.PolicySet.from_json_str(policy_set({name: described}))
            verdict = _ask(alone, action, caller, resource, context)
            outcomes.append(PolicyApplies(name, described["effect"], bool(verdict.policies), verdict.problem))
        return tuple(outcomes)


def _ask(
    policies: PolicySet,
    action: str,
    caller: dict[str, Any],
    resource: dict[str, Any],
    context: dict[str, Any],
) -> PolicyVerdict:
    import cedarpy

    request = {
        "principal": {"type": "Caller", "id": CALLER_ID},
        "action": {"type": "Action", "id": action},
        "resource": {"type": "Resource", "id": RESOURCE_ID},
        "context": msgspec.json.encode(context).decode(),
    }
    entities = msgspec.json.encode((caller, resource)).decode()
    result = cedarpy.is_authorized(request, policies, entities)
    errors = tuple(map(str, result.diagnostics.errors))
    decided = tuple(sorted(map(str, result.diagnostics.reasons)))
    if errors:
        return PolicyVerdict(False, decided, errors[0])
    return PolicyVerdict(result.allowed, decided)


def _is_on_reads(policy: DescribedPolicy) -> bool:
    """Whether a policy can be about reading, by its scope."""
    action = policy["action"]
    if action["op"] == "==":
        return bool(action["entity"]["id"] == "read")
    if action["op"] == "in":
        named = action["entities"] if "entities" in action else [action["entity"]]
        return any(one["id"] == "read" for one in named)
    return True
