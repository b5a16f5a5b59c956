"""The pages of the forms.

/provider/new/{kind}                 the first step of a new one; `copy=ID`, `specification=ID`, `price=ID`
/provider/entities/{id}/edit         the first step for an entity that is there
/provider/drafts                     what was begun
/provider/drafts/{id}/{step}         a step of a draft; the last one puts it into the catalogue
/provider/drafts/{id}/preview        how customers will see it
/provider/drafts/{id}/conflict       somebody else has changed the entity meanwhile
/provider/drafts/{id}/discard        removes it, after one question

The first step makes a draft when it is sent, and every further one saves it: looking writes nothing.
Going on checks all fields of the step, by a dry run of the operation that will write the entity. A
script saves while somebody types, by the same address (`Accept: application/json`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from urllib.parse import quote

import msgspec
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from hansa.core.certificates.elsi import elsi_did
from hansa.core.errors import Code, Refused
from hansa.portal.catalogue.fields import NO_FIELDS, Fields, text_in
from hansa.portal.frame import Frame
from hansa.portal.frame.acts import Act, Acts, carry_out
from hansa.portal.frame.frame import wants_json
from hansa.portal.frame.people import FormFields, People, Person, Role, Visit, page_for, see
from hansa.portal.providers.editing.choosing import OfferedChoices
from hansa.portal.providers.editing.comparing import differences, merged, shown_fields
from hansa.portal.providers.editing.faults import FieldFault, faults_of, violations_in
from hansa.portal.providers.editing.forms.building import built, copied, merge_patch, new_entity, values_of
from hansa.portal.providers.editing.forms.kinds import (
    BY_COLLECTION,
    OFFERING_FORM,
    REVIEW,
    FormKind,
    FormStep,
    kind_named,
)
from hansa.portal.providers.editing.forms.values import BuiltEntity, Values, cleaned, value
from hansa.portal.providers.editing.guarding import SentField, form_for
from hansa.portal.providers.editing.interfaces import EditedEntities, FormDraft, FormDrafts
from hansa.portal.providers.editing.pages import (
    ConflictPage,
    DiscardPage,
    DraftEntry,
    DraftsPage,
    FormPage,
    ReferenceChoices,
    StepLink,
    shown_rows,
)
from hansa.portal.providers.offers.entity import entity_path

DRAFTS: Final = "/provider/drafts"
OPENED: Final = "opened"
"""Field with the version that an entity had when its form was loaded."""
ROW_FIELDS: Final = ("characteristics", "terms")
SOURCES: Final = ("copy", "specification", "price")
"""What a new form can begin with, as parameters of its address."""
SHOWN_AT_FORM: Final = frozenset(
    {
        *(Code.INVALID, Code.CONFLICT, Code.TRANSITION_REFUSED, Code.REFERENCE_WRONG_TYPE),
        *(Code.REFERENCE_UNRESOLVED, Code.TOO_LARGE),
    }
)
"""Refusals that whoever fills in the form can do something about."""


class EditingPages:
    """Handlers of these paths.

    Args:
        frame: Makes pages.
        people: Knows who is logged in.
        entities: The entities.
        drafts: What was begun.
        choices: What an offering can refer to.
        acts: Records what is done.
    """

    def __init__(
        self,
        frame: Frame,
        people: People,
        entities: EditedEntities,
        drafts: FormDrafts,
        choices: OfferedChoices,
        acts: Acts,
    ) -> None:
        self._frame = frame
        self._people = people
        self._entities = entities
        self._drafts = drafts
        self._choices = choices
        self._acts = acts

    def routes(self) -> list[BaseRoute]:
        """All of them, but the preview."""
        people, frame = self._people, self._frame
        both = ["GET", "POST"]
        return [
            Route("/provider/new/{kind}", form_for(people, frame, self.new, self.begin), methods=both),
            Route(
                "/provider/entities/{id}/edit", form_for(people, frame, self.edit, self.change), methods=both
            ),
            Route(DRAFTS, page_for(people, Role.PROVIDER, self.drafts)),
            Route(f"{DRAFTS}/{{id}}/discard", page_for(people, Role.PROVIDER, self.discard), methods=both),
            Route(f"{DRAFTS}/{{id}}/conflict", page_for(people, Role.PROVIDER, self.conflict), methods=both),
            Route(f"{DRAFTS}/{{id}}/{{step}}", form_for(people, frame, self.step, self.send), methods=both),
        ]

    # -- a new one ------------------------------------------------------------------------------------------

    async def new(self, visit: Visit) -> Response:
        """`GET /provider/new/{kind}`.

        Raises:
            Refused: `Code.NOT_FOUND`, `Code.FORBIDDEN` or `Code.POWER_MISSING`.
        """
        draft, hidden = await self._fresh(visit, visit.request.query_params)
        return await self._shown(visit, draft, kind_named(draft.kind).steps[0], hidden=hidden)

    async def begin(self, visit: Visit, is_restored: bool) -> Response:
        """`POST /provider/new/{kind}`.

        Raises:
            Refused: As of `new`; `Code.TOO_LARGE`.
            Unavailable: `Code.OVERLOADED`, when there are too many drafts.
        """
        sources = {name: visit.form.one(name) for name in SOURCES}
        draft, hidden = await self._fresh(visit, sources)
        return await self._begun(visit, draft, hidden, is_restored)

    async def _fresh(
        self, visit: Visit, sources: Mapping[str, str]
    ) -> tuple[FormDraft, tuple[SentField, ...]]:
        """What a new form begins with, and what says so in the form."""
        kind = kind_named(visit.request.path_params["kind"])
        await self._entities.check_may_create(visit.caller, kind.collection)
        base: Fields = NO_FIELDS
        if sources.get("copy"):
            source = await self._entities.readable(visit.caller, kind.collection, sources["copy"])
            own = await self._choices.of(visit.caller, kind, NO_FIELDS)
            base = copied(source, frozenset(one.id for one in own.prices))
            _, base = await violations_in(dict(base), partial(self._dry_create, visit, kind))
        texts = values_of(kind, base)
        if kind is OFFERING_FORM:
            if sources.get("specification"):
                texts["specification"] = (sources["specification"],)
            if sources.get("price"):
                texts["prices"] = tuple(dict.fromkeys((*texts["prices"], sources["price"])))
        hidden = tuple(SentField(name, sources[name]) for name in SOURCES if sources.get(name))
        return FormDraft("", kind.name, "", "", base, texts, 0), hidden

    # -- one that is there ----------------------------------------------------------------------------------

    async def edit(self, visit: Visit) -> Response:
        """`GET /provider/entities/{id}/edit`.

        Raises:
            Refused: As of `EditedEntities.own`.
        """
        draft, status = await self._opened(visit)
        is_done = visit.request.query_params.get("done") == "1"
        for existing in await self._drafts.of(visit.caller):
            if existing.entity == draft.entity and not is_done:
                return see(_path(existing, kind_named(existing.kind).steps[0].name))
        hidden = (SentField(OPENED, draft.version),)
        step = kind_named(draft.kind).steps[0]
        return await self._shown(visit, draft, step, hidden=hidden, status=status, is_done=is_done)

    async def change(self, visit: Visit, is_restored: bool) -> Response:
        """`POST /provider/entities/{id}/edit`.

        Raises:
            Refused: As of `edit`; `Code.TOO_LARGE`.
            Unavailable: `Code.OVERLOADED`, when there are too many drafts.
        """
        draft, _ = await self._opened(visit)
        version = visit.form.one(OPENED) or draft.version
        draft = msgspec.structs.replace(draft, version=version[:200])
        return await self._begun(visit, draft, (SentField(OPENED, version),), is_restored)

    async def _opened(self, visit: Visit) -> tuple[FormDraft, str]:
        """What the form of an entity begins with, and the state of that."""
        stored = await self._entities.own(visit.caller, visit.request.path_params["id"])
        kind = BY_COLLECTION.get(stored.collection)
        if kind is None:
            raise Refused(Code.NOT_FOUND, "There are forms for specifications, prices and offerings.")
        texts = values_of(kind, stored.fields)
        draft = FormDraft("", kind.name, stored.id, stored.version, stored.fields, texts, 0)
        return draft, text_in(stored.fields, "lifecycleStatus")

    async def _begun(
        self, visit: Visit, draft: FormDraft, hidden: tuple[SentField, ...], is_restored: bool
    ) -> Response:
        kind = kind_named(draft.kind)
        step = kind.steps[0]
        draft = msgspec.structs.replace(draft, values=with_sent(step, draft.values, visit.form))
        if is_restored:
            return await self._shown(visit, draft, step, hidden=hidden, is_restored=True)
        draft = await self._drafts.begin(
            *(visit.caller, draft.kind, draft.base, draft.values, draft.entity, draft.version)
        )
        return await self._continued(visit, draft, step)

    # -- a draft --------------------------------------------------------------------------------------------

    async def step(self, visit: Visit) -> Response:
        """`GET /provider/drafts/{id}/{step}`.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        draft = await self._draft(visit)
        step = kind_named(draft.kind).step(visit.request.path_params["step"])
        return await self._shown(visit, draft, step)

    async def send(self, visit: Visit, is_restored: bool) -> Response:
        """`POST /provider/drafts/{id}/{step}`.

        Raises:
            Refused: `Code.NOT_FOUND`, `Code.TOO_LARGE`, and what the operation refuses that no field mends.
        """
        draft = await self._draft(visit)
        step = kind_named(draft.kind).step(visit.request.path_params["step"])
        draft = msgspec.structs.replace(draft, values=with_sent(step, draft.values, visit.form))
        if is_restored:
            return await self._shown(visit, draft, step, is_restored=True)
        if step.name == REVIEW and visit.form.one("do") == "finish":
            return await self._finished(visit, draft)
        return await self._continued(visit, await self._drafts.save(visit.caller, draft), step)

    async def _continued(self, visit: Visit, draft: FormDraft, step: FormStep) -> Response:
        """Where the button leads that a saved step was sent with."""
        kind, here = kind_named(draft.kind), _path(draft, step.name)
        if wants_json(visit.request):
            return JSONResponse({"draft": draft.id, "path": here, "saved_s": draft.saved_s})
        match visit.form.one("do"):
            case "back":
                return see(_path(draft, kind.before(step.name)))
            case "more":
                return see(f"{here}?more=1#rows")
            case "save":
                return see(f"{here}?saved=1")
            case "preview":
                return see(f"{DRAFTS}/{draft.id}/preview")
        faults, _ = await self._checked(visit, draft, await self._choices_of(visit, draft))
        if any(one.step == step.name for one in faults) and step.name != REVIEW:
            return see(f"{here}?check=1")
        return see(_path(draft, kind.after(step.name)))

    async def _finished(self, visit: Visit, draft: FormDraft) -> Response:
        """Put a draft into the catalogue."""
        kind = kind_named(draft.kind)
        made = _made(draft, await self._choices_of(visit, draft))
        again = see(_path(draft, REVIEW) + "?check=1")
        if made.missing:
            return again
        entity_id = draft.entity
        try:
            if not entity_id:
                fields = new_entity(made.fields, owner_of(visit.person))
                key = f"form {draft.id}"
                entity_id = await carry_out(
                    *(self._acts, visit.caller, Act("entity-create", draft.id)),
                    lambda: self._entities.create(visit.caller, kind.collection, fields, key),
                )
            elif patch := merge_patch(draft.base, made.fields):
                await carry_out(
                    *(self._acts, visit.caller, Act("entity-change", entity_id)),
                    lambda: self._entities.change(visit.caller, entity_id, patch, draft.version),
                )
        except Refused as error:
            if error.code is Code.PRECONDITION_FAILED:
                return see(f"{DRAFTS}/{draft.id}/conflict")
            if error.code in SHOWN_AT_FORM:
                return again
            raise
        await self._drafts.discard(visit.caller, draft.id)
        return see(entity_path(entity_id, "/edit?done=1"))

    async def _draft(self, visit: Visit) -> FormDraft:
        return await self._drafts.one(visit.caller, visit.request.path_params["id"])

    async def _dry_create(self, visit: Visit, kind: FormKind, fields: dict[str, Any]) -> None:
        entity = new_entity(fields, owner_of(visit.person))
        await self._entities.dry_create(visit.caller, kind.collection, entity)

    async def _choices_of(self, visit: Visit, draft: FormDraft) -> ReferenceChoices:
        return await self._choices.of(visit.caller, kind_named(draft.kind), draft.base)

    async def _checked(
        self, visit: Visit, draft: FormDraft, choices: ReferenceChoices
    ) -> tuple[tuple[FieldFault, ...], bool]:
        """What is wrong with a draft, and whether somebody else has changed the entity meanwhile."""
        kind, made = kind_named(draft.kind), _made(draft, choices)

        async def check(fields: dict[str, Any]) -> None:
            if draft.entity:
                patch = merge_patch(draft.base, fields)
                await self._entities.dry_change(visit.caller, draft.entity, patch, draft.version)
            else:
                await self._dry_create(visit, kind, fields)

        try:
            refusal, _ = await violations_in(made.fields, check)
        except Refused as error:
            if error.code is not Code.PRECONDITION_FAILED:
                raise
            return faults_of(kind, made, None), True
        return faults_of(kind, made, refusal), False

    async def _shown(
        self,
        visit: Visit,
        draft: FormDraft,
        step: FormStep,
        *,
        hidden: tuple[SentField, ...] = (),
        status: str = "",
        is_restored: bool = False,
        is_done: bool = False,
    ) -> Response:
        """A step of a form."""
        query, kind = visit.request.query_params, kind_named(draft.kind)
        faults: tuple[FieldFault, ...] = ()
        is_outdated = False
        choices = await self._choices_of(visit, draft)
        if draft.id and (step.name == REVIEW or "check" in query) and not is_restored:
            faults, is_outdated = await self._checked(visit, draft, choices)
            if step.name != REVIEW:
                faults = tuple(one for one in faults if one.step == step.name)
        page = FormPage(
            kind=kind.name,
            step=step.name,
            steps=tuple(
                StepLink(name, _path(draft, name) if draft.id else "", name == step.name)
                for name in kind.names()
            ),
            action=_path(draft, step.name) if draft.id else _path_of_request(visit),
            draft=draft.id,
            entity=draft.entity,
            status=status or text_in(draft.base, "lifecycleStatus"),
            texts=draft.values,
            rows=shown_rows(draft.values, ROW_FIELDS, is_more="more" in query),
            faults=faults,
            choices=choices,
            hidden=hidden,
            shown=shown_fields(kind, draft.values, choices.names()) if step.name == REVIEW else (),
            person=visit.person,
            is_restored=is_restored,
            is_saved="saved" in query,
            is_done=is_done,
            is_outdated=is_outdated,
        )
        if is_restored:
            return self._frame.response(visit.request, "editing/form.html", page, status=403)
        return self._frame.negotiated(visit.request, "editing/form.html", page)

    # -- the list, and two editors --------------------------------------------------------------------------

    async def drafts(self, visit: Visit) -> Response:
        """`GET /provider/drafts`."""
        entries = tuple(map(entry_of, await self._drafts.of(visit.caller)))
        page = DraftsPage(entries, visit.person)
        return self._frame.negotiated(visit.request, "editing/drafts.html", page)

    async def discard(self, visit: Visit) -> Response:
        """`GET` and `POST /provider/drafts/{id}/discard`.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        draft = await self._draft(visit)
        if visit.request.method == "POST":
            await self._drafts.discard(visit.caller, draft.id)
            return see(DRAFTS)
        page = DiscardPage(entry_of(draft), visit.person)
        return self._frame.negotiated(visit.request, "editing/discard.html", page)

    async def conflict(self, visit: Visit) -> Response:
        """`GET` and `POST /provider/drafts/{id}/conflict`: what both have changed.

        Raises:
            Refused: `Code.NOT_FOUND`, of a draft or of the entity; as of `EditedEntities.own`.
        """
        draft = await self._draft(visit)
        kind, stored = kind_named(draft.kind), await self._entities.own(visit.caller, draft.entity)
        before, theirs = values_of(kind, draft.base), values_of(kind, stored.fields)
        if visit.request.method == "POST" and visit.form.one("do") == "theirs":
            await self._drafts.discard(visit.caller, draft.id)
            return see(entity_path(draft.entity, "/edit"))
        if visit.request.method == "POST" and visit.form.one("seen") == stored.version:
            taken = frozenset(name for name in kind.fields() if visit.form.one(f"take.{name}") == "theirs")
            values = merged(kind, before, theirs, draft.values, taken)
            draft = msgspec.structs.replace(draft, base=stored.fields, version=stored.version, values=values)
            await self._drafts.save(visit.caller, draft)
            return see(_path(draft, REVIEW))
        choices = await self._choices.of(visit.caller, kind, stored.fields)
        rows = differences(kind, before, theirs, draft.values, choices.names())
        page = ConflictPage(entry_of(draft), rows, stored.version, visit.person)
        return self._frame.negotiated(visit.request, "editing/conflict.html", page)


def with_sent(step: FormStep, values: Values, form: FormFields) -> dict[str, tuple[str, ...]]:
    """Values with those of one step as they were sent; what is not sent of it is not there any more."""
    result = {name: texts for name, texts in values.items() if not step.has(name)}
    for name in form.names():
        if step.has(name) and len(name) <= 100:
            result[name] = tuple(map(cleaned, form.all(name)))
    return result


def owner_of(person: Person) -> dict[str, Any] | None:
    """The party in whose name somebody offers something."""
    if not person.organization:
        return None
    party = {"id": elsi_did(person.organization), "@referredType": "Organization"}
    return {**party, "name": person.organization_name} if person.organization_name else party


def entry_of(draft: FormDraft) -> DraftEntry:
    """A draft in a list."""
    name = value(draft.values, "name") or text_in(draft.base, "name")
    return DraftEntry(
        draft.id, draft.kind, name[:200], datetime.fromtimestamp(draft.saved_s, UTC), draft.entity
    )


def _made(draft: FormDraft, choices: ReferenceChoices) -> BuiltEntity:
    return built(kind_named(draft.kind), draft.values, draft.base, choices.names())


def _path(draft: FormDraft, step: str) -> str:
    return f"{DRAFTS}/{draft.id}/{step}"


def _path_of_request(visit: Visit) -> str:
    return quote(visit.request.scope["path"], safe="/:")
