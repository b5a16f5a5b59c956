"""What each row of a file comes to: a dry run that writes nothing, and the writes after it.

A row is written as the form of its type, or a client of the API, would write it: a record with the identifier
of an entity that is here changes it, everything else is created.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from hansa.core.access import Caller
from hansa.core.clock import Clock
from hansa.core.errors import Code, HansaError, Refused
from hansa.portal.catalogue.fields import Fields, text_in
from hansa.portal.providers.editing.forms.building import built, new_entity
from hansa.portal.providers.editing.forms.kinds import KINDS, FormKind
from hansa.portal.providers.editing.importing.page_jobs import Advance
from hansa.portal.providers.editing.importing.reading import ImportRow
from hansa.portal.providers.editing.interfaces import EditedEntities

Outcome = Literal["create", "change", "created", "changed", "refused"]
AT_ONCE: Final = 20
AT_ONCE_MAX_BYTES: Final = 32_768
REASON_MAX_CHARS: Final = 1000
SEVERAL: Final = frozenset({"category", "prices"})
_PARTS: Final = re.compile(r"[;|\n]")
COLUMN_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "specification": (
        *("name", "description", "brand", "number", "version", "validity.start", "validity.end"),
    ),
    "price": (
        *("name", "description", "version", "model", "amount", "currency", "period", "length", "per"),
        *("unit", "tax", "validity.start", "validity.end"),
    ),
    "offering": (
        *("name", "description", "version", "category", "specification", "prices", "licence.name"),
        *("licence.url", "validity.start", "validity.end"),
    ),
}
"""Fields that a column can be, by form."""


class ReportRow(msgspec.Struct, frozen=True):
    """What a row comes to."""

    line: int
    name: str
    outcome: Outcome
    reason: str = ""
    """Of a refusal."""
    id: str = ""
    """Of what was written."""


class RowWriter:
    """Carries out the rows of one file, or finds out what that would come to.

    Args:
        entities: The entities.
        caller: Whose file it is.
        owner: The party in whose name entities are created.
        kind: Of rows that do not say it.
        names: Of what can be referred to, by identifier.
        fields: What the columns are, of CSV; empty: a column is nothing.
        key: Under which its entities are created once.
        clock: Lets others in.
    """

    def __init__(
        self,
        entities: EditedEntities,
        caller: Caller,
        owner: Fields | None,
        kind: FormKind,
        names: Mapping[str, str],
        fields: Sequence[str],
        key: str,
        clock: Clock,
    ) -> None:
        self._entities = entities
        self._caller = caller
        self._owner = owner
        self._kind = kind
        self._names = names
        self._ids = {name: id for id, name in names.items()}
        self._fields = tuple(fields)
        self._key = key
        self._clock = clock

    async def checked(self, rows: Sequence[ImportRow], advance: Advance) -> tuple[ReportRow, ...]:
        """What the rows would come to."""
        return await self._all(rows, self._check, advance)

    async def carried_out(self, rows: Sequence[ImportRow], advance: Advance) -> tuple[ReportRow, ...]:
        """What the rows come to: each that is not refused is written."""
        return await self._all(rows, self._write, advance)

    async def _all(
        self,
        rows: Sequence[ImportRow],
        one: Callable[[ImportRow], Awaitable[ReportRow]],
        advance: Advance,
    ) -> tuple[ReportRow, ...]:
        report: list[ReportRow] = []
        for some in portions(rows):
            report += await asyncio.gather(*(self._outcome(row, one) for row in some))
            advance(len(some))
            await self._clock.sleep(0)
        return tuple(report)

    async def _outcome(self, row: ImportRow, one: Callable[[ImportRow], Awaitable[ReportRow]]) -> ReportRow:
        if row.problem:
            return ReportRow(row.line, "", "refused", row.problem)
        try:
            return await one(row)
        except HansaError as error:
            name = str((row.record or {}).get("name", ""))[:200] or (row.cells[0][:200] if row.cells else "")
            return ReportRow(row.line, name, "refused", error.message[:REASON_MAX_CHARS])

    async def _check(self, row: ImportRow) -> ReportRow:
        kind, fields = self._entity(row)
        name, version = text_in(fields, "name")[:200], await self._version(kind, fields)
        if version is None:
            await self._entities.dry_create(self._caller, kind.collection, new_entity(fields, self._owner))
            return ReportRow(row.line, name, "create")
        await self._entities.dry_change(self._caller, fields["id"], _patch(fields), version)
        return ReportRow(row.line, name, "change", id=fields["id"])

    async def _write(self, row: ImportRow) -> ReportRow:
        kind, fields = self._entity(row)
        name, version = text_in(fields, "name")[:200], await self._version(kind, fields)
        if version is None:
            entity, key = new_entity(fields, self._owner), f"{self._key} {row.line}"
            id = await self._entities.create(self._caller, kind.collection, entity, key)
            return ReportRow(row.line, name, "created", id=id)
        await self._entities.change(self._caller, fields["id"], _patch(fields), version)
        return ReportRow(row.line, name, "changed", id=fields["id"])

    async def _version(self, kind: FormKind, fields: Fields) -> str | None:
        """The version of the entity that a row is about; None: there is none yet.

        Raises:
            Refused: `Code.CONFLICT`, when it is of another type than the row.
        """
        if not text_in(fields, "id"):
            return None
        try:
            stored = await self._entities.own(self._caller, text_in(fields, "id"))
        except Refused as error:
            if error.code is Code.NOT_FOUND:
                return None
            raise
        if stored.collection != kind.collection:
            raise Refused(Code.CONFLICT, f"id: is that of a {stored.collection}, not of a {kind.collection}.")
        return stored.version

    def _entity(self, row: ImportRow) -> tuple[FormKind, dict[str, Any]]:
        """The entity that a row says, and the form of its type.

        Raises:
            Refused: `Code.INVALID`.
        """
        if row.record is None:
            return self._kind, self._built(row)
        type_name = row.record.get("@type", self._kind.collection)
        kind = next((one for one in KINDS.values() if one.collection == type_name), None)
        if kind is None:
            raise Refused(
                Code.INVALID, "@type: must be ProductSpecification, ProductOfferingPrice or ProductOffering."
            )
        return kind, dict(row.record)

    def _built(self, row: ImportRow) -> dict[str, Any]:
        values: dict[str, tuple[str, ...]] = {}
        for field, cell in zip(self._fields, row.cells, strict=False):
            text = cell.strip()
            if not field or not text:
                continue
            parts = [one.strip() for one in _PARTS.split(text)] if field in SEVERAL else [text]
            is_reference = field in SEVERAL or field == "specification"
            values[field] = tuple(self._ids.get(one, one) for one in parts) if is_reference else (text,)
        made = built(self._kind, values, {}, self._names)
        if made.missing:
            raise Refused(Code.INVALID, f"{', '.join(made.missing)}: has to be filled in.")
        return made.fields


def portions(rows: Sequence[ImportRow]) -> Iterator[Sequence[ImportRow]]:
    """The rows that are looked at in one turn of the event loop: a few, or one that is large."""
    portion: list[ImportRow] = []
    size_bytes = 0
    for row in rows:
        row_bytes = len(msgspec.json.encode(row))
        if portion and (len(portion) == AT_ONCE or size_bytes + row_bytes > AT_ONCE_MAX_BYTES):
            yield portion
            portion, size_bytes = [], 0
        portion.append(row)
        size_bytes += row_bytes
    if portion:
        yield portion


def _patch(fields: Fields) -> dict[str, Any]:
    """What a record changes of an entity: what it says, and nothing else."""
    return {name: content for name, content in fields.items() if name not in {"id", "href", "@type"}}
