"""Who may what, and what is published and taken in: policies in force, why they decide, what they refused.

/operator/policies                  the files, since when they hold, what is wrong with them
/operator/policies/why              a question: somebody, an action, an entity; the decision with its policies
/operator/policies/decisions        the log of decisions, newest first
"""

from __future__ import annotations

from typing import Final, Protocol

import msgspec
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hansa.core.access import READERS
from hansa.core.errors import Code, Refused
from hansa.portal.frame.people import Visit
from hansa.portal.operators.operator_frame import OperatorFrame, requested_choice
from hansa.portal.operators.paging import ROWS, Turning, number, turning
from hansa.portal.operators.places import OperatorPage

DECISIONS_PATH: Final = "/operator/policies/decisions"
ACCESS_ACTIONS: Final = ("read", "create", "change", "delete")
DISTRIBUTION_ACTIONS: Final = ("publish", "retrieve", "store")
ROLES: Final = tuple(sorted(READERS))
POWERS_MAX: Final = 32
TEXT_MAX_CHARS: Final = 1024


class PolicyInForce(msgspec.Struct, frozen=True):
    """One policy."""

    name: str
    """As `file.cedar#id`."""
    effect: str
    """`permit` or `forbid`."""


class PolicyGroup(msgspec.Struct, frozen=True):
    """Policies that are adopted together."""

    files: tuple[str, ...]
    """That were read, in their folder; empty: there are none."""
    since: str
    """When they were adopted; RFC 3339."""
    problem: str | None
    """Why the files as they are now are not adopted; None: they are."""
    policies: tuple[PolicyInForce, ...]


class PoliciesPage(OperatorPage, frozen=True):
    """For the template `operating/policies.html`."""

    access: PolicyGroup
    distribution: PolicyGroup


class PolicyShown(msgspec.Struct, frozen=True):
    """A policy, and whether it applies to what was asked."""

    name: str
    effect: str
    applies: bool
    error: str | None


class PolicyQuestion(msgspec.Struct, frozen=True):
    """A question."""

    entity_id: str
    action: str
    organization: str
    """Of the caller; empty: of none."""
    powers: tuple[str, ...]
    """As `DOME/ProductOffering/Create`."""
    role: str
    """Of a token; empty: none."""


class PolicyAnswer(msgspec.Struct, frozen=True):
    """The answer."""

    is_allowed: bool
    code: str | None
    """Of a refusal; of distribution, the name of the condition that is not met."""
    reason: str | None
    policies: tuple[PolicyShown, ...]
    type: str
    """Of the entity."""


class Example(msgspec.Struct, frozen=True):
    """Somebody who is logged in, without a name: for the question."""

    organization: str
    powers: tuple[str, ...]


class WhyPage(OperatorPage, frozen=True):
    """For the template `operating/why.html`."""

    question: PolicyQuestion
    decided: PolicyAnswer | None
    """None: nothing was asked."""
    fault: str
    """Why there is no answer."""
    examples: tuple[Example, ...]


class LoggedDecision(msgspec.Struct, frozen=True):
    """A line of the log."""

    time: str
    caller: str = ""
    """Pseudonym."""
    organization: str | None = None
    member: str | None = None
    action: str = ""
    type: str = ""
    allowed: bool = False
    code: str | None = None
    policies: tuple[str, ...] = ()
    dropped: int = 0
    """So many decisions were not logged, since there were too many at a time."""


class DecisionsPage(OperatorPage, frozen=True):
    """For the template `operating/decisions.html`."""

    organization: str
    """Of those that are shown; empty: all."""
    decisions: tuple[LoggedDecision, ...]
    turning: Turning


class PolicyReads(Protocol):
    """Knows the policies, and asks them."""

    def access(self) -> PolicyGroup:
        """Who may read and write what."""

    def distribution(self) -> PolicyGroup:
        """What is published and taken in."""

    async def decide(self, question: PolicyQuestion, /) -> PolicyAnswer:
        """What the policies say.

        Raises:
            Refused: `Code.NOT_FOUND`, when there is no such entity; `Code.INVALID`.
        """

    def examples(self) -> tuple[Example, ...]:
        """Of people who are logged in."""

    async def decisions(self, organization: str, limit: int, offset: int, /) -> tuple[LoggedDecision, ...]:
        """Of the log, newest first; of one organisation, or all."""


class PolicyPages:
    """The handlers.

    Args:
        frame: Of pages for operators.
        policies: Are shown and asked.
    """

    def __init__(self, frame: OperatorFrame, policies: PolicyReads) -> None:
        self._frame = frame
        self._policies = policies

    def routes(self) -> list[BaseRoute]:
        """All of them."""
        guarded = self._frame.guarded
        return [
            Route("/operator/policies", guarded(self.policies)),
            Route("/operator/policies/why", guarded(self.why)),
            Route("/operator/policies/decisions", guarded(self.decisions)),
        ]

    async def policies(self, visit: Visit) -> Response:
        """`GET /operator/policies`."""
        groups = self._policies.access(), self._policies.distribution()
        page = PoliciesPage(*groups, places=self._frame.places)
        return self._frame.page(visit, "operating/policies.html", page)

    async def why(self, visit: Visit) -> Response:
        """`GET /operator/policies/why?id=&action=&organization=&powers=&role=`."""
        question, decided, fault = _question(visit), None, ""
        if question.entity_id:
            try:
                decided = await self._policies.decide(question)
            except Refused as error:
                fault = error.message
        examples = self._policies.examples()
        page = WhyPage(question, decided, fault, examples, places=self._frame.places)
        return self._frame.page(visit, "operating/why.html", page)

    async def decisions(self, visit: Visit) -> Response:
        """`GET /operator/policies/decisions?organization=&offset=`."""
        offset = number(visit.request, "offset")
        organization = _text(visit, "organization")
        rows = await self._policies.decisions(organization, ROWS + 1, offset)
        turned = turning(DECISIONS_PATH, {"organization": organization}, offset, len(rows))
        page = DecisionsPage(organization, rows[:ROWS], turned, places=self._frame.places)
        return self._frame.page(visit, "operating/decisions.html", page)


def _question(visit: Visit) -> PolicyQuestion:
    request = visit.request
    action = requested_choice(visit, "action", (*ACCESS_ACTIONS, *DISTRIBUTION_ACTIONS))
    powers = tuple(line for line in request.query_params.get("powers", "").split() if line)
    if len(powers) > POWERS_MAX or any(len(one) > TEXT_MAX_CHARS for one in powers):
        raise Refused(Code.INVALID, f"powers are {POWERS_MAX} at most.")
    role = requested_choice(visit, "role", ("", *ROLES))
    return PolicyQuestion(_text(visit, "id"), action, _text(visit, "organization"), powers, role)


def _text(visit: Visit, name: str) -> str:
    text = visit.request.query_params.get(name, "").strip()
    if len(text) > TEXT_MAX_CHARS:
        raise Refused(Code.INVALID, f"{name} has {TEXT_MAX_CHARS} characters at most.")
    return text
