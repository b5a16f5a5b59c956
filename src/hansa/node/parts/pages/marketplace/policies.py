"""The policies of the marketplace, as the pages of operators show and ask them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from hansa.api.access.explaining import ExplainApi, caller_in_question
from hansa.core.access import ANONYMOUS, Caller
from hansa.core.bounded_json import UNREADABLE
from hansa.core.clock import rfc3339
from hansa.core.errors import Code, Refused, Unavailable
from hansa.identity.rights.watch import AccessWatch
from hansa.identity.sessions import BrowserSessions
from hansa.portal.operators.marketplace.policies import (
    ACCESS_ACTIONS,
    Example,
    LoggedDecision,
    PolicyAnswer,
    PolicyGroup,
    PolicyInForce,
    PolicyQuestion,
    PolicyShown,
)
from hansa.replication.conditions.cedar import Action as DistributionAction
from hansa.replication.conditions.policy import DistributionPolicy
from hansa.replication.conditions.watch import ConditionsWatch
from hansa.store import Store

EXAMPLES_MAX: Final = 8
LOG_READ_MAX_BYTES: Final = 4_194_304
"""Of the end of each file of the log."""
_ACTIONS: Final[tuple[DistributionAction, ...]] = ("publish", "retrieve", "store")


class PoliciesInForce:
    """The `PolicyReads` of the pages.

    Args:
        store: Has the entities.
        explaining: Explains decisions about access.
        access: Watches the files about access.
        distribution: Decides about distribution.
        conditions: Watches the files about distribution.
        sessions: Of browsers.
        log_path: Of the log of decisions.
    """

    def __init__(
        self,
        store: Store,
        explaining: ExplainApi,
        access: AccessWatch,
        distribution: DistributionPolicy,
        conditions: ConditionsWatch,
        sessions: BrowserSessions,
        log_path: Path,
    ) -> None:
        self._store = store
        self._explaining = explaining
        self._access = access
        self._distribution = distribution
        self._conditions = conditions
        self._sessions = sessions
        self._log_path = log_path

    def access(self) -> PolicyGroup:
        """See `PolicyReads`, as for what follows."""
        watch = self._access
        policies = tuple(PolicyInForce(*one) for one in watch.policies.effects)
        return PolicyGroup(watch.policies.files, rfc3339(watch.since), watch.problem, policies)

    def distribution(self) -> PolicyGroup:
        """What is published and taken in."""
        watch, files = self._conditions, self._distribution.files
        policies = tuple(
            PolicyInForce(f"{one.name}#{id}", effect) for one in files for id, effect in one.effects
        )
        names = tuple(one.name for one in files)
        return PolicyGroup(names, rfc3339(watch.since), watch.problem, policies)

    async def decide(self, question: PolicyQuestion) -> PolicyAnswer:
        """What the policies say."""
        if question.action not in ACCESS_ACTIONS:
            return await self._about_distribution(question)
        roles = (question.role,) if question.role else ()
        caller: Caller = ANONYMOUS
        if question.organization or question.powers or roles:
            caller = caller_in_question(question.organization or None, question.powers, roles)
        reported = await self._explaining.decision(caller, question.entity_id, question.action)
        policies = tuple(
            PolicyShown(one.policy, one.effect, one.applies, one.error) for one in reported.policies
        )
        return PolicyAnswer(reported.is_allowed, reported.code, reported.reason, policies, reported.type)

    async def _about_distribution(self, question: PolicyQuestion) -> PolicyAnswer:
        entity = await self._store.entity(question.entity_id)
        if entity is None:
            raise Refused(Code.NOT_FOUND, "There is no such entity.")
        if (entity.origin is None) != (question.action == "publish"):
            reason = "publish is about entities of this marketplace; retrieve and store are about replicas."
            raise Refused(Code.INVALID, reason)
        action = next(one for one in _ACTIONS if one == question.action)
        unmet, policies = self._distribution.explain(action, entity)
        shown = tuple(PolicyShown(one.id, one.effect, one.applies, one.error) for one in policies)
        condition = None if unmet is None else unmet.condition
        why = None if unmet is None else unmet.reason
        return PolicyAnswer(unmet is None, condition, why, shown, entity.type)

    def examples(self) -> tuple[Example, ...]:
        """Of people who are logged in: organisation and powers, each once."""
        examples: dict[Example, None] = {}
        for principal in self._sessions.principals():
            powers = [
                f"{one.domain}/{one.function}/{action}" for one in principal.powers for action in one.actions
            ]
            examples[Example(principal.organization, tuple(powers))] = None
            if len(examples) >= EXAMPLES_MAX:
                break
        return tuple(examples)

    async def decisions(self, organization: str, limit: int, offset: int) -> tuple[LoggedDecision, ...]:
        """Of the log."""
        return await asyncio.to_thread(self._read, organization, limit, offset)

    def _read(self, organization: str, limit: int, offset: int) -> tuple[LoggedDecision, ...]:
        matching = (one for one in self._lines() if not organization or one.organization == organization)
        return tuple(islice(matching, offset, offset + limit))

    def _lines(self) -> Iterator[LoggedDecision]:
        for path in (self._log_path, self._log_path.with_name(f"{self._log_path.name}.1")):
            for line in reversed(_end_of(path).splitlines()):
                try:
                    yield msgspec.json.decode(line, type=LoggedDecision)
                except UNREADABLE:  # cut by the bound of the file, or of what is read
                    continue


def _end_of(path: Path) -> bytes:
    """The end of a file; empty when there is none.

    Raises:
        Unavailable: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            size_bytes = file.seek(0, 2)
            file.seek(max(0, size_bytes - LOG_READ_MAX_BYTES))
            return file.read(LOG_READ_MAX_BYTES)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise Unavailable(Code.UNAVAILABLE, "The log of decisions cannot be read now.") from error
