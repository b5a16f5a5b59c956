"""`hansa events`: shows committed events page by page, or follows them as they are committed.

A followed stream that breaks is opened again after its last event, with growing pauses, until the user stops
it.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from rich.cells import cell_len, set_cell_size

from hansa.business.models import load
from hansa.cli.client import Client, PatientClient
from hansa.cli.durations import seconds_of
from hansa.cli.options import at_least
from hansa.cli.output import Output
from hansa.cli.proofs.keys import proved_keys
from hansa.client.ledger_query import ENTITY_PARAMETERS, LedgerQuery
from hansa.client.source import EventSource
from hansa.client.verification import EventVerifier
from hansa.core.clock import Clock, rfc3339
from hansa.core.errors import Code, HansaError, Refused
from hansa.core.events import event_names
from hansa.core.foreign_text import printable
from hansa.core.identifiers import is_entity_key
from hansa.core.instants import moment
from hansa.core.known_words import check_known

MEMBERS: Final = "/league/v1/members"
KEY_LENGTH_CHARS: Final = 64
DAY_LENGTH_CHARS: Final = 10
"""A shorter text is no time, but how long ago something was."""
_PART_OF_KEY: Final = re.compile("[0-9A-Fa-f]{8,}")
NARROW_MAX_COLUMNS: Final = 157
"""Up to this width a line is a short one."""

Event = Mapping[str, Any]


class EventSelection(LedgerQuery, frozen=True):
    """Which events are shown; `issuers` may be names of members until they are resolved."""

    after: int | None = None
    limit: int | None = None


def run_events(
    url: str,
    selection: EventSelection,
    is_followed: bool,
    output: Output,
    clock: Clock,
    genesis: bytes | None = None,
) -> None:
    """Write events, after verifying each when there is a genesis; Ctrl-C is the regular end of following.

    Raises:
        HansaError: when the marketplace cannot be reached or refuses, or an option is invalid.
    """
    now = clock.now()
    check_selection(selection)
    selection = msgspec.structs.replace(
        selection,
        from_time=time_of(selection.from_time, now) if selection.from_time else None,
        to_time=time_of(selection.to_time, now) if selection.to_time else None,
        limit=at_least(selection.limit, 0, "--limit") if selection.limit is not None else None,
        after=at_least(selection.after, 0, "--after") if selection.after is not None else None,
    )

    async def run() -> None:
        async with PatientClient(url, connections_max=2) as client:
            reader = EventReader(client, clock, output)
            verifier = None if genesis is None else EventVerifier(proved_keys(client, genesis))
            resolved = await reader.resolve(selection)
            lines = EventLines(reader.names, output.width)
            count = 0
            async for event in reader.follow(resolved) if is_followed else reader.pages(resolved):
                if verifier is not None:
                    await verifier.verify(event)
                if output.as_json:
                    output.document(event, is_indented=False)
                else:
                    if count == 0:
                        output.heading(lines.heading())
                    output.data(lines.line(event))
                count += 1
            if count == 0:
                report_nothing(selection, output)

    try:
        asyncio.run(run())
    except KeyboardInterrupt:
        if not is_followed:
            raise


def entity_conditions(conditions: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Conditions on what events say of their entities, each as `NAME=VALUE`: fields of a selection.

    Raises:
        Refused: `Code.INVALID`.
    """
    fields: dict[str, tuple[str, ...]] = {}
    for condition in conditions:
        name, sign, value = condition.partition("=")
        if not sign or not value:
            raise Refused(Code.INVALID, f"--where needs NAME=VALUE, not {printable(condition)!r}.")
        check_known([name], ENTITY_PARAMETERS, "attribute for --where")
        values = tuple(value.split(","))
        if name == "entityType":
            check_known(values, load().catalogue_types, "entity type")
        field = ENTITY_PARAMETERS[name]
        fields[field] = (*fields.get(field, ()), *values)
    return fields


def check_selection(selection: EventSelection) -> None:
    """Check names of events, and keys of entities, before anything is requested.

    Raises:
        Refused: `Code.INVALID`, naming what is meant.
    """
    if selection.types:
        names = {name for type_name in load().catalogue_types for name in event_names(type_name)}
        check_known(selection.types, names, "event")
    for name in selection.entities:
        if _PART_OF_KEY.fullmatch(name) and not is_entity_key(name):
            raise Refused(
                Code.INVALID,
                f"{name!r} is neither an identifier nor a whole key: a key has {KEY_LENGTH_CHARS} digits, 0 to 9 and "
                f"a to f, and this has {len(name)}. `hansa events --json` shows whole ones.",
            )


def report_nothing(selection: EventSelection, output: Output) -> None:
    """Say that there is no event.

    Raises:
        Refused: `Code.NOT_FOUND`, when an entity was named that has none at all.
    """
    is_narrowed = (
        *(selection.types, selection.issuers),
        *(getattr(selection, field) for field in ENTITY_PARAMETERS.values()),
        *(selection.from_time, selection.to_time),
    )
    if selection.entities and not (any(is_narrowed) or selection.after or selection.limit == 0):
        shown = " or ".join(selection.entities)
        raise Refused(
            Code.NOT_FOUND,
            f"The ledger has no event of {printable(shown)}: it is private, not committed yet, or no member has it.",
        )
    output.message("No event matches.")


def time_of(text: str, now: datetime) -> str:
    """A time, as RFC 3339: from RFC 3339, a date, or a duration before `now`; UTC by default.

    Raises:
        Refused: `Code.INVALID`.
    """
    at = moment(text) if len(text) >= DAY_LENGTH_CHARS else None
    if at is not None:
        return rfc3339(at)
    try:
        return rfc3339(now - timedelta(seconds=seconds_of(text)))
    except (Refused, OverflowError) as error:
        raise Refused(
            Code.INVALID,
            f"{text!r} is not a time; write 2026-08-01, 2026-08-01T09:30:00Z, or how long ago, as 2h.",
        ) from error


class EventLines:
    """Shows events, each in a line that fits.

    A wide line has the position, the times of the event and of its block, the event's name, issuer, version
    and lifecycle status, and the key of its entity; a short one has one time, and shortened names.

    Args:
        names: Of members, by DID.
        width: Columns of the terminal; None: no limit, and whole keys.
    """

    def __init__(self, names: Mapping[str, str], width: int | None) -> None:
        self._names = names
        key_width = 16 if width is not None else KEY_LENGTH_CHARS
        self._widths: tuple[int, ...] = (8, 24, 24, 44, 12, 5, 10, key_width)
        self._headings: tuple[str, ...] = (
            *("position", "time of the event", "time of its block", "event"),
            *("member", "v", "status", "key"),
        )
        self._is_short = width is not None and width <= NARROW_MAX_COLUMNS
        if width is not None and self._is_short:
            event_width = min(44, max(10, width - 54))
            self._widths = (6, 14, event_width, 8, 4, 9, 7)
            self._headings = ("pos", "time (UTC)", "event", "member", "v", "status", "key")

    def heading(self) -> str:
        """The names of the columns."""
        return self._joined(self._headings)

    def line(self, event: Event) -> str:
        """An event."""
        content = _mapping(event.get("event"))
        entity, metadata = _mapping(content.get("entity")), _mapping(content.get("metadata"))
        issuer = str(content.get("issuer", ""))
        position, own_time = str(event.get("position", "")), str(content.get("time", ""))
        name = str(content.get("type", ""))
        rest = (
            self._names.get(issuer, issuer),
            f"v{entity.get('version', '')}",
            str(metadata.get("lifecycleStatus") or "-"),
            str(entity.get("key", ""))[: self._widths[-1]],
        )
        if self._is_short:
            return self._joined(
                (position, own_time[5:19].replace("T", " "), name.removesuffix("Event"), *rest)
            )
        return self._joined((position, own_time, str(event.get("time", "")), name, *rest))

    def _joined(self, cells: Sequence[str]) -> str:
        gap = " " if self._is_short else "  "
        shown = [_fitted(printable(cell), width) for cell, width in zip(cells, self._widths, strict=True)]
        first = shown[0].rstrip().rjust(self._widths[0])
        return gap.join([first, *shown[1:]]).rstrip()


def _fitted(text: str, width: int) -> str:
    """A text in so many columns of a terminal, where some characters take two."""
    if cell_len(text) > width:
        return set_cell_size(text, width - 1) + "…"
    return set_cell_size(text, width)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


class EventReader:
    """Reads the events of one marketplace's ledger."""

    def __init__(self, client: Client, clock: Clock, output: Output) -> None:
        self._client = client
        self._source = EventSource([client], clock)
        self._output = output
        self.names: dict[str, str] = {}
        """Members' names by DID."""

    async def resolve(self, selection: EventSelection) -> EventSelection:
        """Learn the members' names, and replace names in the selection by DIDs.

        Raises:
            Refused: `Code.INVALID`, when there is no such member.
        """
        document = await self._client.get(MEMBERS)
        members = document.get("members") if isinstance(document, dict) else document
        if not isinstance(members, list):
            raise self._client.not_a_marketplace()
        self.names = {str(member.get("did")): str(member.get("name")) for member in members}
        dids = {name: did for did, name in self.names.items()}
        issuers = []
        for issuer in selection.issuers:
            if not issuer.startswith("did:"):
                check_known((issuer,), dids, "member")
            elif issuer not in self.names:
                raise Refused(Code.INVALID, f"No member of the league has the DID {issuer!r}.")
            issuers.append(dids.get(issuer, issuer))
        return msgspec.structs.replace(selection, issuers=tuple(issuers))

    async def pages(self, selection: EventSelection) -> AsyncIterator[Event]:
        """The events that are on the ledger now."""
        pages = self._source.pages(
            selection.parameters(), _as_it_is, after=selection.after or 0, limit=selection.limit
        )
        async for event in pages:
            yield event

    async def follow(self, selection: EventSelection) -> AsyncIterator[Event]:
        """Events as they are committed; without `after` or `from_time`, new ones alone."""
        count, to_time = 0, selection.to_time
        async with contextlib.aclosing(self._stream(selection)) as events:
            async for event in events:
                # A stream has no end of its own. Blocks' times never decrease; those of events do.
                if to_time is not None and _own_time(event) >= to_time:
                    if str(event.get("time", "")) >= to_time:
                        return
                    continue
                yield event
                count += 1
                if count == selection.limit:
                    return

    async def _stream(self, selection: EventSelection) -> AsyncGenerator[Event]:
        """Events of the stream, which is opened again when it breaks."""
        after = selection.after
        if after is None:
            after = 0 if selection.from_time else await self._source.position()
        parameters = [one for one in selection.parameters() if one[0] != "to"]
        stream = self._source.follow(parameters, _as_it_is, after=after, on_interruption=self._interrupted)
        async with contextlib.aclosing(stream) as events:
            async for event in events:
                yield event

    def _interrupted(self, error: HansaError) -> None:
        self._output.message(f"{error.message} Trying again.")


async def _as_it_is(event: Event) -> Event:
    return event


def _own_time(event: Event) -> str:
    content = event.get("event")
    return str(content.get("time", "")) if isinstance(content, dict) else ""
