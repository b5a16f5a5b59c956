"""The own entities of whoever offers something: of an organisation, or of the marketplace for its operator.

What pages change goes through the operations of the APIs, with the rights of the person, and with the version
that the person saw: what somebody else has changed meanwhile is refused, not overwritten.
"""

from __future__ import annotations

from typing import Final, Literal, Protocol, get_args

import msgspec

from hansa.core.access import Caller
from hansa.portal.providers.offers.launching import LaunchCondition

Kind = Literal[
    "ProductOffering",
    "ProductSpecification",
    "ProductOfferingPrice",
    "Category",
    "ServiceSpecification",
    "ResourceSpecification",
]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
"""What is listed, by the names of their types."""
Stage = Literal["draft", "launched", "retired"]
STAGES: Final[tuple[Stage, ...]] = get_args(Stage)
"""What is not published yet, or not any more; what is offered; what is not offered any more."""
ChangeAction = Literal["launch", "retire", "withdraw", "delete"]
CHANGE_ACTIONS: Final[tuple[ChangeAction, ...]] = get_args(ChangeAction)
"""Publish; end the sale; take back from the catalogue; remove."""
PublicationState = Literal[
    "private", "pending", "on-its-way", "announced", "here", "chosen", "withheld", "refused", "replica"
]
TEXT_MAX_CHARS: Final = 100
PAGE_SIZE: Final = 25


class OwnPublication(msgspec.Struct, frozen=True):
    """What the other marketplaces can know of an entity."""

    state: PublicationState
    """`private`: it is a draft; `pending`: its identifier is being claimed; `on-its-way`: this version is not
    on the ledger yet; `announced`: it is; `here`, `chosen`: its provider has restricted who sees it;
    `withheld`: a rule of the operator does; `refused`: the league does not take it; `replica`: its origin is
    another marketplace."""
    version: int = 0
    """The last one on the ledger; 0: none."""
    code: str = ""
    """Of a refusal, or the name of the operator's rule."""
    reason: str = ""
    """A sentence with it."""


class OwnEntity(msgspec.Struct, frozen=True):
    """An entity of whoever looks, as it is now."""

    id: str
    kind: Kind
    name: str
    status: str
    """As the entity has it; empty: it has none."""
    stage: Stage
    version: str
    """Hashlink of its content, by which a change knows that nobody else has changed it."""
    modified: str
    """RFC 3339."""
    is_public: bool
    publication: OwnPublication
    actions: tuple[ChangeAction, ...] = ()
    """Those that its state allows; whether the person may is another matter."""
    origin: str = ""
    """Name of the marketplace that it comes from; empty: this one."""


class OwnQuery(msgspec.Struct, frozen=True):
    """Which own entities."""

    kind: Kind = "ProductOffering"
    stage: Stage | None = None
    text: str = ""
    """In the name or the identifier, in any case."""
    after: str = ""
    """Where the page before ended: its `next_after`."""


class OwnPage(msgspec.Struct, frozen=True):
    """Some of them, by name."""

    entities: tuple[OwnEntity, ...]
    next_after: str = ""
    """Where the next page goes on; empty: there is none."""


class KindCount(msgspec.Struct, frozen=True):
    """How many own entities of a kind there are."""

    kind: Kind
    draft: int
    launched: int
    retired: int


class PublicationProblem(msgspec.Struct, frozen=True):
    """An own entity that the league does not get, although it is to."""

    entity: OwnEntity
    waits_for: str = ""
    """Identifier of another one that has to be published first; empty: the publication itself says why."""


class OwnCatalogue(Protocol):
    """The own entities of a caller."""

    async def counts(self, caller: Caller, /) -> tuple[KindCount, ...]:
        """How many there are."""

    async def page(self, caller: Caller, requested: OwnQuery, /) -> OwnPage:
        """Some of them.

        Raises:
            Refused: `Code.INVALID`: `after` is of no page.
            Unavailable: `Code.SEARCH_TOO_SLOW` or `Code.OVERLOADED`.
        """

    async def one(self, caller: Caller, entity_id: str, /) -> OwnEntity:
        """One of them.

        Raises:
            Refused: `Code.NOT_FOUND`: there is none, or it is not the caller's.
        """

    async def problems(self, caller: Caller, /) -> tuple[PublicationProblem, ...]:
        """Those that the league does not get, although it is to; the first of them."""

    async def refusal(self, caller: Caller, action: ChangeAction, entity_id: str, /) -> str:
        """Why the caller may not change one so, as a sentence; empty: nothing speaks against it.

        Raises:
            Refused: As `one`.
        """

    async def conditions(self, caller: Caller, entity_id: str, /) -> tuple[LaunchCondition, ...]:
        """The conditions of publishing one, those that are met too.

        Raises:
            Refused: As `one`.
        """

    async def content(self, caller: Caller, entity_id: str, /) -> bytes:
        """What others would get of one, as it is now: JSON.

        Raises:
            Refused: As `one`.
        """

    async def change(self, caller: Caller, action: ChangeAction, entity_id: str, version: str, /) -> None:
        """Change one that still is as it was seen.

        Raises:
            Refused: As `one`; `Code.PRECONDITION_FAILED`, when it has changed; as the APIs do.
            Unavailable: As the APIs do; nothing was changed.
        """
