"""Who sees several entities: the same choice for all that were picked in the catalogue.

    /provider/visibility           what is chosen, who will see it then, and one confirmation
    /provider/visibility/outcome   what came of it, entity by entity

The rules are those of one entity (`hansa.portal.providers.editing.visibility`). What came of it is in memory
for a while, for whoever caused it.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hansa.core.access import Caller
from hansa.core.base64url import to_base64url
from hansa.core.cache import Cache
from hansa.core.errors import Code, HansaError, Refused
from hansa.core.identifiers import Entropy
from hansa.portal.catalogue.fields import text_in
from hansa.portal.frame import Frame
from hansa.portal.frame.people import People, Role, Visit, page_for, see
from hansa.portal.providers.editing.interfaces import EditedEntities, StoredVersion
from hansa.portal.providers.editing.visibility import (
    Audience,
    AudiencePage,
    Marketplaces,
    VisibilityPages,
    choice_fields,
    choice_of,
    chosen_audience,
    seen_at,
    visibility_patch,
)
from hansa.portal.providers.offers.changes import picked, versions_in

PATH: Final = "/provider/visibility"
OUTCOMES_MAX: Final = 256
NEEDED_MAX: Final = 300
"""Of all that are picked, what they need together."""
TOKEN_SIZE_BYTES: Final = 16


class PickedEntity(msgspec.Struct, frozen=True):
    """An entity that was picked, as the page was loaded."""

    id: str
    name: str
    version: str


class PickedVisibilityPage(AudiencePage, frozen=True, kw_only=True):
    """For the template `editing/visibility_of_many.html`."""

    entities: tuple[PickedEntity, ...]
    unknown: tuple[str, ...]
    """Identifiers of what is not here, or not theirs to change."""
    audience: Audience | None
    """None: nothing is chosen yet."""


class VisibilityOutcome(msgspec.Struct, frozen=True):
    """What came of it for one entity."""

    id: str
    name: str
    code: str = ""
    """Why it was not set; empty: it was."""
    message: str = ""


class VisibilityOutcomePage(msgspec.Struct, frozen=True):
    """For the template `editing/visibility_outcome.html`."""

    items: tuple[VisibilityOutcome, ...]
    """Empty: they are not here any more."""
    subject: str = ""

    @property
    def done(self) -> int:
        """How many were set."""
        return sum(1 for one in self.items if not one.code)


class VisibilityOfMany:
    """Handlers of these paths.

    Args:
        frame: Makes pages.
        people: Knows who is logged in.
        entities: The entities.
        marketplaces: The other members.
        single: Sets the visibility of one entity.
        entropy: For the names of outcomes.
    """

    def __init__(
        self,
        frame: Frame,
        people: People,
        entities: EditedEntities,
        marketplaces: Marketplaces,
        single: VisibilityPages,
        entropy: Entropy,
    ) -> None:
        self._frame = frame
        self._people = people
        self._entities = entities
        self._marketplaces = marketplaces
        self._single = single
        self._entropy = entropy
        self.cache: Final[Cache[str, VisibilityOutcomePage]] = Cache("visibility_outcomes", OUTCOMES_MAX)

    def routes(self) -> list[BaseRoute]:
        """All of them."""
        people, provider = self._people, Role.PROVIDER
        return [
            Route(PATH, page_for(people, provider, self.shown), methods=["GET"]),
            Route(PATH, page_for(people, provider, self.set), methods=["POST"]),
            Route(f"{PATH}/outcome", page_for(people, provider, self.outcome)),
        ]

    async def shown(self, visit: Visit) -> Response:
        """`GET /provider/visibility?pick=`.

        Raises:
            Refused: `Code.INVALID`: nothing is picked, or too much.
        """
        query = visit.request.query_params
        entities, unknown = await self._picked(visit.caller, picked(tuple(query.getlist("pick"))))
        is_requested = "audience" in query
        chosen = chosen_audience(
            query.get("audience", "everyone"), query.getlist("member"), query.getlist("country")
        )
        others = self._marketplaces.others()
        is_proposed = is_requested and chosen.audience != "nobody" and bool(entities)
        page = PickedVisibilityPage(
            entities=tuple(
                PickedEntity(one.id, text_in(one.fields, "name") or one.id, one.version) for one in entities
            ),
            unknown=unknown,
            audience=choice_of(chosen) if is_requested else None,
            **choice_fields(chosen, others),
            is_proposed=is_proposed,
            is_empty=is_requested and chosen.audience == "nobody",
            seen=tuple(seen_at(one, chosen) for one in others) if is_proposed else (),
            needed=len(await self._needed(visit.caller, entities)),
            with_needed="needed" in query,
        )
        return self._frame.negotiated(visit.request, "editing/visibility_of_many.html", page)

    async def set(self, visit: Visit) -> Response:
        """`POST /provider/visibility`.

        Raises:
            Refused: `Code.INVALID`, of a choice that is none, or of a form that is not of this page.
        """
        form = visit.form
        patch = visibility_patch(form)
        versions = versions_in(form.all("item"))
        items = [await self._one(visit.caller, id, version, patch) for id, version in versions]
        if form.one("needed"):
            done = tuple(one.id for one in items if not one.code)
            entities, _ = await self._picked(visit.caller, done)
            needed = await self._needed(visit.caller, entities)
            items += [await self._one(visit.caller, one.id, one.version, patch) for one in needed]
        token = to_base64url(self._entropy(TOKEN_SIZE_BYTES))
        self.cache.put(token, VisibilityOutcomePage(tuple(items), visit.caller.subject or ""))
        return see(f"{PATH}/outcome?of={token}")

    async def outcome(self, visit: Visit) -> Response:
        """`GET /provider/visibility/outcome`."""
        known = self.cache.get(visit.request.query_params.get("of", ""))
        if known is None or known.subject != (visit.caller.subject or ""):
            known = VisibilityOutcomePage(())
        return self._frame.negotiated(visit.request, "editing/visibility_outcome.html", known)

    async def _one(self, caller: Caller, id: str, version: str, patch: dict[str, Any]) -> VisibilityOutcome:
        name = id
        try:
            name = text_in((await self._entities.own(caller, id)).fields, "name") or id
            await self._single.changed(caller, id, patch, version)
        except HansaError as error:
            return VisibilityOutcome(id, name, str(error.code), error.message)
        return VisibilityOutcome(id, name)

    async def _picked(
        self, caller: Caller, ids: tuple[str, ...]
    ) -> tuple[tuple[StoredVersion, ...], tuple[str, ...]]:
        """What somebody may change of what they name, and the others."""
        entities: list[StoredVersion] = []
        unknown: list[str] = []
        for id in ids:
            try:
                entities.append(await self._entities.own(caller, id))
            except Refused:
                unknown.append(id)
        return tuple(entities), tuple(unknown)

    async def _needed(self, caller: Caller, entities: tuple[StoredVersion, ...]) -> tuple[StoredVersion, ...]:
        """What they need beside each other, each once, as far as the caller may change it.

        Raises:
            Refused: `Code.INVALID`, when that is too much.
        """
        named = {one.id for one in entities}
        needed: dict[str, StoredVersion] = {}
        for entity in entities:
            for one in await self._single.needed(caller, entity.fields):
                if one.id not in named:
                    needed[one.id] = one
            if len(needed) > NEEDED_MAX:
                raise Refused(Code.INVALID, f"They need more than {NEEDED_MAX} others: pick fewer.")
        return tuple(needed.values())
