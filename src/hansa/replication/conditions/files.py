"""The conditions of the operator as one value, as they were read from the marketplace's folder.

Conditions may depend on the time, as "not after the end of its validity". Then a decision holds for a period
of `PERIOD_S`, at whose beginning the time is taken; the next period has another digest, so that everything is
decided again then, as after a change of the files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from hansa.core.cedar import FILE_SIZE_MAX_BYTES
from hansa.core.clock import Clock, epoch_s
from hansa.core.errors import Code, Fatal
from hansa.core.events import LifecycleEvent
from hansa.core.files import read_file
from hansa.replication.conditions.cedar import (
    ACTIONS,
    Action,
    DecisionCache,
    FileName,
    PolicyFile,
    PolicyOutcome,
    decision_cache,
)
from hansa.replication.conditions.subject import Subject, subject_of_entity, subject_of_event
from hansa.replication.conditions.unmet import Unmet

PERIOD_S: Final = 900
"""How long a decision holds that depends on the time."""


class Conditions:
    """The policies of all files, for a period.

    Args:
        policies: Of each file that is there.
        clock: For policies that depend on the time.
    """

    def __init__(self, policies: Sequence[PolicyFile], clock: Clock) -> None:
        self._of = {action: one for one in policies for action in ACTIONS[one.name] if not one.is_open}
        self.policies: Final = tuple(policies)
        self._clock = clock

    @property
    def period(self) -> int:
        """Number of the current period."""
        return epoch_s(self._clock) // PERIOD_S

    def has(self, action: Action) -> bool:
        """Whether there are conditions of an action."""
        return action in self._of

    def digest_of(self, action: Action) -> str:
        """Another text for other conditions of an action; empty: none."""
        policies = self._of.get(action)
        if policies is None:
            return ""
        text = f"{policies.digest}:{self.period}" if policies.needs_time else policies.digest
        return hashlib.sha256(text.encode()).hexdigest()

    def of_event(self, event: LifecycleEvent) -> Unmet | None:
        """The condition that an event does not meet."""
        policies = self._of.get("retrieve")
        if policies is None:
            return None
        subject = self._timed(policies, subject_of_event(event))
        return policies.decide("retrieve", event.issuer, event.entity.type, subject)

    def of_entity(self, actions: Sequence[Action], issuer: str, type_name: str, body: bytes) -> Unmet | None:
        """The condition that an entity does not meet.

        Args:
            actions: Which are decided about.
            issuer: DID of its origin.
            type_name: Its type.
            body: Its bytes, which have been verified.
        """
        concerned = [(action, self._of[action]) for action in actions if action in self._of]
        if not concerned:
            return None
        described = subject_of_entity(body)
        for action, policies in concerned:
            subject = self._timed(policies, described)
            known = subject.announced if action == "retrieve" else subject
            unmet = policies.decide(action, issuer, type_name, known)
            if unmet is not None:
                return unmet
        return None

    def explain(self, action: Action, issuer: str, type_name: str, body: bytes) -> tuple[PolicyOutcome, ...]:
        """Each policy about an action, and whether it applies to an entity."""
        policies = next((one for one in self.policies if action in ACTIONS[one.name]), None)
        if policies is None:
            return ()
        subject = self._timed(policies, subject_of_entity(body))
        known = subject.announced if action == "retrieve" else subject
        return policies.explain(action, issuer, type_name, known)

    def _timed(self, policies: PolicyFile, subject: Subject) -> Subject:
        if not policies.needs_time:
            return subject
        return subject.at(datetime.fromtimestamp(self.period * PERIOD_S, UTC))


def read_conditions(folder: Path, clock: Clock, cache: DecisionCache | None = None) -> Conditions:
    """The conditions in a folder; a file that is not there has none. The cache must be empty.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, naming the file, the place and the reason.
    """
    cache = cache if cache is not None else decision_cache()
    unknown = sorted(path.name for path in folder.glob("*.cedar") if path.name not in ACTIONS)
    if unknown:  # a misspelt name would leave everything allowed
        raise Fatal(
            Code.SETTINGS_INVALID,
            f"{folder / unknown[0]} is read by nothing; files of conditions are {' and '.join(ACTIONS)}.",
        )
    policies = []
    for name in ACTIONS:
        text = read_policies(folder, name)
        if text is not None:
            policies.append(PolicyFile(name, text, cache, clock))
    return Conditions(policies, clock)


def read_policies(folder: Path, name: FileName) -> str | None:
    """The text of a file; None when it is not there.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`.
    """
    path = folder / name
    if not path.exists() and not path.is_symlink():
        return None
    content = read_file(path)
    if len(content) > FILE_SIZE_MAX_BYTES:
        raise Fatal(Code.SETTINGS_INVALID, f"{path} has more than {FILE_SIZE_MAX_BYTES:,} bytes.")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise Fatal(Code.SETTINGS_INVALID, f"{path} is not UTF-8: byte {error.start}.") from error
