"""What the pages of providers' forms need: the operations of the APIs, and drafts in the store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec
from starlette.routing import BaseRoute

from hansa.business.context import Context
from hansa.business.dry_runs import check_may_change, check_may_create, dry_create, dry_patch
from hansa.business.operations.api_operations import ApiOperations, ResourceOperations
from hansa.business.operations.forwarding.terms import PLAIN_TERMS, WriteTerms
from hansa.business.operations.writes import Preconditions, WriteResult
from hansa.business.patches import MERGE_PATCH
from hansa.core.access import Caller
from hansa.core.base64url import to_base64url
from hansa.core.cache import HasFigures
from hansa.core.certificates.elsi import elsi_did
from hansa.core.clock import epoch_s
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.members import Member, country_of
from hansa.core.yielding import Yielding
from hansa.portal.catalogue.fields import Fields
from hansa.portal.catalogue.origins import KnownOrigins
from hansa.portal.catalogue.reading import CatalogueReads, decoded_fields, decoded_one_by_one
from hansa.portal.frame import Frame
from hansa.portal.frame.acts import Acts
from hansa.portal.frame.people import People
from hansa.portal.providers.editing.choosing import OfferedChoices
from hansa.portal.providers.editing.forms.kinds import BY_COLLECTION
from hansa.portal.providers.editing.forms.values import Values
from hansa.portal.providers.editing.importing.page_jobs import PageJobs
from hansa.portal.providers.editing.importing.pages import ImportFile, ImportPages
from hansa.portal.providers.editing.importing.planning import ReportRow
from hansa.portal.providers.editing.importing.reading import ImportRow
from hansa.portal.providers.editing.interfaces import FormDraft, StoredVersion
from hansa.portal.providers.editing.preview import PreviewPages
from hansa.portal.providers.editing.visibility import KnownMarketplace, Obstacles, VisibilityPages
from hansa.portal.providers.editing.visibility_of_many import VisibilityOfMany
from hansa.portal.providers.editing.wizard import EditingPages
from hansa.store import AnyOf, Condition, Filter, Query, SortKey
from hansa.store.tables.editing import drafts, files
from hansa.store.tables.editing.drafts import FormDraftRow
from hansa.store.tables.editing.files import ImportFileRow

OFFERED_MAX: Final = 200
DRAFT_ID_SIZE_BYTES: Final = 16
RETRY_AFTER_S: Final = 60.0
_OWNER: Final = (("relatedParty", "id"), ("relatedParty", "name"))


class EditingParts(NamedTuple):
    """What the wiring needs of them."""

    routes: list[BaseRoute]
    caches: tuple[HasFigures, ...]


def editing_routes(
    frame: Frame,
    people: People,
    context: Context,
    operations: Iterable[ApiOperations],
    reads: CatalogueReads,
    origins: KnownOrigins,
    acts: Acts,
    members: Callable[[], Iterable[Member]],
    did: str,
    jobs: PageJobs,
) -> EditingParts:
    """The pages on which providers write what they offer."""
    entities, drafts_of_people = OperatedEntities(operations, context), StoredDrafts(context)
    choices = OfferedChoices(reads, entities)
    preview = PreviewPages(frame, people, reads, origins, drafts_of_people, choices)
    pages = EditingPages(frame, people, entities, drafts_of_people, choices, acts)
    marketplaces = LeagueMarketplaces(context, members, did)
    visibility = VisibilityPages(frame, people, entities, marketplaces, acts)
    of_many = VisibilityOfMany(frame, people, entities, marketplaces, visibility, context.entropy)
    imports = ImportPages(
        *(frame, people, entities, StoredFiles(context), choices, acts, jobs),
        *(context.clock, context.limits),
    )
    routes = [
        *(*preview.routes(), *pages.routes(), *visibility.routes(), *of_many.routes()),
        *imports.routes(),
    ]
    return EditingParts(routes, (of_many.cache,))


class OperatedEntities:
    """Entities behind the operations of the APIs (`interfaces.EditedEntities`).

    Args:
        operations: Of all APIs.
        context: Of the business.
    """

    def __init__(self, operations: Iterable[ApiOperations], context: Context) -> None:
        self._context = context
        self._yielding = Yielding()
        self._operations: dict[str, ResourceOperations] = {
            collection: api[collection]
            for api in operations
            for collection in api.by_collection
            if collection in BY_COLLECTION
        }
        assert self._operations.keys() == BY_COLLECTION.keys(), "every form has its operations"

    async def check_may_create(self, caller: Caller, collection: str) -> None:
        """See `EditedEntities`."""
        await check_may_create(self._operations[collection], caller)

    async def own(self, caller: Caller, id: str) -> StoredVersion:
        """See `EditedEntities`."""
        operations = await self._of(id)
        entity = await check_may_change(operations, self._context, caller, id)
        await self._yielding.after(len(entity.body))
        return StoredVersion(entity.id, entity.type, decoded_fields(entity.body), entity.hashlink)

    async def readable(self, caller: Caller, collection: str, id: str) -> Fields:
        """See `EditedEntities`."""
        read = self._operations[collection].read
        return decoded_fields((await read.one(await read.scope(caller), id)).body)

    async def offered(self, caller: Caller, collection: str) -> tuple[Fields, ...]:
        """See `EditedEntities`."""
        operations = self._operations[collection]
        filters: tuple[Condition, ...] = ()
        if caller.organization is not None:
            aliases = await operations.served.aliases_of(caller)
            names = (elsi_did(caller.organization), caller.organization, *sorted(aliases))
            filters = (AnyOf(tuple(Filter(path, names) for path in _OWNER)),)
        query = Query(collection, filters, (SortKey(("name",)),), limit=OFFERED_MAX)
        page = await operations.read.page(await operations.read.scope(caller), query)
        return await decoded_one_by_one(page.bodies, self._yielding)

    async def dry_create(self, caller: Caller, collection: str, fields: dict[str, Any]) -> None:
        """See `EditedEntities`."""
        await dry_create(self._operations[collection], self._context, caller, fields)

    async def dry_change(self, caller: Caller, id: str, patch: dict[str, Any], version: str) -> None:
        """See `EditedEntities`."""
        await dry_patch(await self._of(id), self._context, caller, id, patch, _expected(version))

    async def create(self, caller: Caller, collection: str, fields: dict[str, Any], key: str) -> str:
        """See `EditedEntities`."""
        create = self._operations[collection].create
        terms = WriteTerms(key, b"form") if key else PLAIN_TERMS
        result: WriteResult = await create.one_as(create.authorize(caller), fields, None, _same, terms)
        return result.entity.id

    async def change(self, caller: Caller, id: str, patch: dict[str, Any], version: str) -> None:
        """See `EditedEntities`."""
        update = (await self._of(id)).update
        await update.patch(update.authorize(caller), id, MERGE_PATCH, patch, expected=_expected(version))

    async def _of(self, id: str) -> ResourceOperations:
        """The operations of the type that an entity has; of one without a form, as if it were not here."""
        entity = await self._context.store.entity(id)
        operations = self._operations.get(entity.type) if entity is not None else None
        if operations is None:
            raise Refused(Code.NOT_FOUND, "There is nothing of this identifier that you can edit here.")
        return operations


class StoredDrafts:
    """Drafts in the store (`interfaces.FormDrafts`).

    Args:
        context: Of the business: store, clock, entropy and limits.
    """

    def __init__(self, context: Context) -> None:
        self._store = context.store
        self._clock = context.clock
        self._entropy = context.entropy
        self._limits = context.limits

    async def of(self, caller: Caller) -> tuple[FormDraft, ...]:
        """See `FormDrafts`."""
        rows = await drafts.drafts_of(self._store, _subject(caller))
        return tuple(_decoded(row) for row in rows if self._is_live(row))

    async def one(self, caller: Caller, id: str) -> FormDraft:
        """See `FormDrafts`."""
        row = await drafts.draft(self._store, _subject(caller), id)
        if row is None or not self._is_live(row):
            raise _no_draft()
        return _decoded(row)

    async def begin(
        self, caller: Caller, kind: str, base: Fields, values: Values, entity: str, version: str
    ) -> FormDraft:
        """See `FormDrafts`."""
        now_s, subject = epoch_s(self._clock), _subject(caller)
        id = to_base64url(self._entropy(DRAFT_ID_SIZE_BYTES))
        row = FormDraftRow(
            *(
                id,
                subject,
                kind,
                entity,
                version,
                msgspec.json.encode(dict(base)),
                msgspec.json.encode(values),
            ),
            *(now_s, now_s),
        )
        self._check_size(row)
        async with self._store.transaction() as tx:
            await drafts.remove_expired(tx, now_s - int(self._limits.form_draft_lifetime_s))
            if await drafts.count_of(tx, subject) >= self._limits.form_drafts_per_person_max:
                raise _too_many("You have too many drafts: discard some at /provider/drafts.")
            if await drafts.count(tx) >= self._limits.form_drafts_max:
                raise _too_many("There are too many drafts here now.")
            await drafts.save(tx, row)
        return _decoded(row)

    async def save(self, caller: Caller, draft: FormDraft) -> FormDraft:
        """See `FormDrafts`."""
        subject = _subject(caller)
        async with self._store.transaction() as tx:
            before = await drafts.draft(tx, subject, draft.id)
            if before is None:
                raise _no_draft()
            row = msgspec.structs.replace(
                before,
                version=draft.version,
                base=msgspec.json.encode(dict(draft.base)),
                content=msgspec.json.encode(draft.values),
                saved_s=epoch_s(self._clock),
            )
            self._check_size(row)
            await drafts.save(tx, row)
        return _decoded(row)

    async def discard(self, caller: Caller, id: str) -> None:
        """See `FormDrafts`."""
        async with self._store.transaction() as tx:
            await drafts.remove(tx, _subject(caller), id)

    def _check_size(self, row: FormDraftRow) -> None:
        size_max = self._limits.form_draft_max_bytes
        if len(row.base) + len(row.content) > size_max:
            raise Refused(Code.TOO_LARGE, f"A form with all that is in it has {size_max:,} bytes at most.")

    def _is_live(self, row: FormDraftRow) -> bool:
        return row.saved_s >= epoch_s(self._clock) - self._limits.form_draft_lifetime_s


class StoredFiles:
    """Files to import, in the store (`importing.pages.ImportFiles`).

    Args:
        context: Of the business: store, clock, entropy and limits.
    """

    def __init__(self, context: Context) -> None:
        self._store = context.store
        self._clock = context.clock
        self._entropy = context.entropy
        self._limits = context.limits
        self._yielding = Yielding()

    async def of(self, caller: Caller) -> ImportFile | None:
        """See `ImportFiles`."""
        row = await files.file_of(self._store, _subject(caller))
        if row is None or row.saved_s < epoch_s(self._clock) - self._limits.import_file_lifetime_s:
            return None
        columns, encoded = msgspec.json.decode(
            row.content, type=tuple[tuple[str, ...], tuple[msgspec.Raw, ...]]
        )
        rows: list[ImportRow] = []
        for one in encoded:
            rows.append(msgspec.json.decode(one, type=ImportRow))
            await self._yielding.after(len(memoryview(one)))
        return ImportFile(
            *(row.id, row.name, row.kind, row.state, columns, tuple(rows)),
            msgspec.json.decode(row.mapping, type=tuple[str, ...]),
            msgspec.json.decode(row.report, type=tuple[ReportRow, ...]),
        )

    async def save(self, caller: Caller, file: ImportFile) -> ImportFile:
        """See `ImportFiles`."""
        subject, now_s = _subject(caller), epoch_s(self._clock)
        if not file.id:
            file = msgspec.structs.replace(file, id=to_base64url(self._entropy(DRAFT_ID_SIZE_BYTES)))
        row = ImportFileRow(
            *(subject, file.id, file.name, file.kind, file.state),
            content=msgspec.json.encode((file.columns, file.rows)),
            mapping=msgspec.json.encode(file.fields),
            report=msgspec.json.encode(file.report),
            saved_s=now_s,
        )
        async with self._store.transaction() as tx:
            await files.remove_expired(tx, now_s - int(self._limits.import_file_lifetime_s))
            if await files.count_others(tx, subject) >= self._limits.import_files_max:
                raise _too_many("Too many people import files now.")
            await files.save(tx, row)
        return file

    async def discard(self, caller: Caller) -> None:
        """See `ImportFiles`."""
        async with self._store.transaction() as tx:
            await files.remove(tx, _subject(caller))


class LeagueMarketplaces:
    """The other members of the league (`visibility.Marketplaces`).

    Args:
        context: Of the business.
        members: Of the league, as they are known.
        did: Of this marketplace.
    """

    def __init__(self, context: Context, members: Callable[[], Iterable[Member]], did: str) -> None:
        self._context = context
        self._members = members
        self._did = did

    def others(self) -> tuple[KnownMarketplace, ...]:
        """See `Marketplaces`."""
        known = (
            KnownMarketplace(one.did, one.name, country_of(one) or "", bool(one.agreement_key))
            for one in self._members()
            if one.is_current and one.did != self._did
        )
        return tuple(sorted(known, key=lambda one: (one.name, one.did)))

    async def obstacles(self, id: str) -> Obstacles:
        """See `Marketplaces`."""
        entity = await self._context.store.entity(id)
        if entity is None:
            return Obstacles()
        is_foreign = self._context.identifiers.needs_claim(entity.id, entity.nonce)
        return Obstacles(self._context.withheld_by(entity), is_foreign)


def _subject(caller: Caller) -> str:
    if caller.subject is None:
        raise Refused(Code.UNAUTHENTICATED, "Drafts are of people who are logged in.")
    return caller.subject


def _expected(version: str) -> Preconditions:
    return Preconditions(versions=frozenset({version}))


def _decoded(row: FormDraftRow) -> FormDraft:
    values: Mapping[str, tuple[str, ...]] = msgspec.json.decode(row.content, type=dict[str, tuple[str, ...]])
    return FormDraft(
        *(row.id, row.kind, row.entity, row.version, decoded_fields(row.base), values, row.saved_s)
    )


def _no_draft() -> Refused:
    return Refused(Code.NOT_FOUND, "There is no such draft of yours: it was finished, discarded or too old.")


def _too_many(message: str) -> Unavailable:
    return Unavailable(Code.OVERLOADED, message, retry_after_s=RETRY_AFTER_S)


def _same(result: WriteResult) -> WriteResult:
    return result
