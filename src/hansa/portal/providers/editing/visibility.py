"""Who sees an entity: everyone, chosen marketplaces, chosen countries, or this marketplace alone.

    /provider/entities/{id}/visibility

What is chosen is the attribute `visibleTo`, by which replication decides (`hansa.core.visibility`). The page
says first, marketplace by marketplace, who will see it then and who will not, and sets it after that.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal, Protocol

import msgspec
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hansa.core.access import Caller
from hansa.core.errors import Code, Refused
from hansa.core.visibility import ATTRIBUTE, EVERYONE, FOR_NOBODY, HERE, Visibility, read_visibility
from hansa.portal.catalogue.fields import Fields, fields_in, items_in, text_in
from hansa.portal.frame import Frame
from hansa.portal.frame.acts import Act, Acts, carry_out
from hansa.portal.frame.people import FormFields, People, Person, Role, Visit, page_for, see
from hansa.portal.providers.editing.interfaces import EditedEntities, StoredVersion
from hansa.portal.providers.offers.entity import entity_path

Audience = Literal["everyone", "here", "chosen"]
Why = Literal["everyone", "chosen", "country", "no-key", "not-chosen"]
SHOWN_TO_ALL: Final = frozenset({"Launched", "Retired", "Obsolete"})
NEEDED_MAX: Final = 50


class KnownMarketplace(msgspec.Struct, frozen=True):
    """Another member of the league."""

    did: str
    name: str
    country: str
    """ISO 3166-1; empty: not known."""
    can_open: bool
    """Whether what is for some alone can be sealed for it."""


class Obstacles(msgspec.Struct, frozen=True):
    """What keeps an entity here, whatever its provider chooses."""

    condition: str | None = None
    """Name of the operator's condition."""
    has_foreign_identifier: bool = False
    """Its identifier is none of this marketplace's own, so that it is not sealed for anybody."""


class Marketplaces(Protocol):
    """The other members, and what leaves this one."""

    def others(self) -> tuple[KnownMarketplace, ...]:
        """All of them, by name."""

    async def obstacles(self, id: str, /) -> Obstacles:
        """What keeps an entity here."""


class SeenAt(msgspec.Struct, frozen=True):
    """Whether a marketplace will see an entity, and why."""

    name: str
    country: str
    sees: bool
    why: Why


class AudiencePage(msgspec.Struct, frozen=True, kw_only=True):
    """What the template `editing/audience.html` shows of a choice, for whatever it is made."""

    members: tuple[str, ...]
    """DIDs that are chosen."""
    countries: tuple[str, ...]
    marketplaces: tuple[KnownMarketplace, ...]
    known_countries: tuple[str, ...]
    """Of members, and those that are chosen."""
    is_proposed: bool
    """What is shown was chosen on this page and is not set yet."""
    is_empty: bool
    """Nobody was chosen."""
    is_public_here: bool
    """Whether strangers see it at this marketplace."""
    seen: tuple[SeenAt, ...]
    needed: int
    """How many entities it needs that are somebody's own, as its prices."""
    with_needed: bool


class VisibilityPage(AudiencePage, frozen=True, kw_only=True):
    """For the template `editing/visibility.html`."""

    id: str
    name: str
    status: str
    is_shown: bool
    """Whether its state lets others see it."""
    audience: Audience
    obstacles: Obstacles
    opened: str
    """Version of the entity that the page is about."""
    is_set: bool
    person: Person


class VisibilityPages:
    """The handler of this path.

    Args:
        frame: Makes pages.
        people: Knows who is logged in.
        entities: The entities.
        marketplaces: The other members.
        acts: Records what is done.
    """

    def __init__(
        self,
        frame: Frame,
        people: People,
        entities: EditedEntities,
        marketplaces: Marketplaces,
        acts: Acts,
    ) -> None:
        self._frame = frame
        self._people = people
        self._entities = entities
        self._marketplaces = marketplaces
        self._acts = acts

    def routes(self) -> list[BaseRoute]:
        """The one."""
        handler = page_for(self._people, Role.PROVIDER, self.visibility)
        return [Route("/provider/entities/{id}/visibility", handler, methods=["GET", "POST"])]

    async def visibility(self, visit: Visit) -> Response:
        """`GET` and `POST /provider/entities/{id}/visibility`.

        Raises:
            Refused: As of `EditedEntities.own` and `change`; `Code.INVALID`, of a choice that is none;
                `Code.PRECONDITION_FAILED`, when the entity has changed since the page was loaded.
        """
        stored = await self._entities.own(visit.caller, visit.request.path_params["id"])
        if visit.request.method == "POST":
            return await self._set(visit, stored)
        query = visit.request.query_params
        current = read_visibility(stored.fields.get(ATTRIBUTE)) or FOR_NOBODY
        chosen = current
        if is_proposed := "audience" in query:
            chosen = chosen_audience(query["audience"], query.getlist("member"), query.getlist("country"))
        others = self._marketplaces.others()
        status = text_in(stored.fields, "lifecycleStatus")
        page = VisibilityPage(
            id=stored.id,
            name=text_in(stored.fields, "name") or stored.id,
            status=status,
            is_shown=status in SHOWN_TO_ALL,
            audience=choice_of(chosen),
            **choice_fields(chosen, others),
            is_proposed=is_proposed and chosen.audience != "nobody",
            is_empty=is_proposed and chosen.audience == "nobody",
            seen=tuple(seen_at(one, chosen) for one in others),
            obstacles=await self._marketplaces.obstacles(stored.id),
            needed=len(await self.needed(visit.caller, stored.fields)),
            with_needed="needed" in query,
            opened=stored.version,
            is_set="set" in query,
            person=visit.person,
        )
        return self._frame.negotiated(visit.request, "editing/visibility.html", page)

    async def _set(self, visit: Visit, stored: StoredVersion) -> Response:
        form = visit.form
        patch = visibility_patch(form)
        await self.changed(visit.caller, stored.id, patch, form.one("opened"))
        if form.one("needed"):
            for one in await self.needed(visit.caller, stored.fields):
                await self.changed(visit.caller, one.id, patch, one.version)
        return see(entity_path(stored.id, "/visibility?set=1"))

    async def changed(self, caller: Caller, id: str, patch: dict[str, Any], version: str) -> None:
        """Set what others see of an entity, with a record of who does.

        Raises:
            Refused: As of `EditedEntities.change`.
        """
        act = Act("entity-visibility", id)
        await carry_out(self._acts, caller, act, lambda: self._entities.change(caller, id, patch, version))

    async def needed(self, caller: Caller, fields: Fields) -> tuple[StoredVersion, ...]:
        """What an offering needs, as far as the caller may change it."""
        references = (fields_in(fields, "productSpecification"), *items_in(fields, "productOfferingPrice"))
        needed = []
        for id in dict.fromkeys(text_in(one, "id") for one in references[:NEEDED_MAX]):
            try:
                needed += [await self._entities.own(caller, id)] if id else []
            except Refused:
                continue  # it is somebody else's, or not here: theirs to say who sees it
        return tuple(needed)


def chosen_audience(audience: str, members: Iterable[str], countries: Iterable[str]) -> Visibility:
    """What was chosen; of nothing that can be set: nobody."""
    if audience in {EVERYONE, HERE}:
        return read_visibility([audience]) or FOR_NOBODY
    codes = [f"country:{one.strip().upper()}" for text in countries for one in text.split() if one.strip()]
    entries = list(dict.fromkeys((*members, *codes)))
    return (read_visibility(entries) or FOR_NOBODY) if audience == "chosen" else FOR_NOBODY


def choice_of(chosen: Visibility) -> Audience:
    """Which of the boxes is checked: of nothing that can be set, that for a choice."""
    return "chosen" if chosen.audience == "nobody" else chosen.audience


def choice_fields(chosen: Visibility, others: tuple[KnownMarketplace, ...]) -> dict[str, Any]:
    """What an `AudiencePage` says of a choice, whatever becomes of it."""
    return {
        "members": tuple(sorted(chosen.members)),
        "countries": tuple(sorted(chosen.countries)),
        "marketplaces": others,
        "known_countries": tuple(sorted({*(one.country for one in others), *chosen.countries} - {""})),
        "is_public_here": chosen.is_public_here,
    }


def visibility_patch(form: FormFields) -> dict[str, Any]:
    """What a form sets of an entity.

    Raises:
        Refused: `Code.INVALID`, of a choice that is none.
    """
    chosen = chosen_audience(form.one("audience"), form.all("member"), form.all("country"))
    if chosen.audience == "nobody":
        raise Refused(Code.INVALID, "Choose everyone, this marketplace, or at least one marketplace.")
    return {ATTRIBUTE: _visibility_value(chosen)}


def _visibility_value(chosen: Visibility) -> list[str]:
    """A choice as the attribute has it."""
    if chosen.audience in {"everyone", "here"}:
        return [chosen.audience]
    return [*sorted(chosen.members), *(f"country:{one}" for one in sorted(chosen.countries))]


def seen_at(member: KnownMarketplace, chosen: Visibility) -> SeenAt:
    """Whether a marketplace sees what is for whoever was chosen."""
    why: Why = "not-chosen"
    if chosen.audience == "everyone":
        why = "everyone"
    elif member.did in chosen.members or (member.country and member.country in chosen.countries):
        why = "chosen" if member.did in chosen.members else "country"
        why = why if member.can_open else "no-key"
    return SeenAt(member.name, member.country, why in {"everyone", "chosen", "country"}, why)
