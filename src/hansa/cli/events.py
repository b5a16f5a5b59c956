"""Shows committed events, a page after the other, or as they come.

A followed stream that breaks is taken up again after its last event, with growing pauses, for as long as the person
at the command line likes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from hansa.cli.client import Client
from hansa.cli.durations import seconds_of
from hansa.cli.output import Output, printable
from hansa.core.clock import Clock, rfc3339
from hansa.core.errors import Code, Refused, Unavailable

EVENTS: Final = "/league/v1/events"
STREAM: Final = "/league/v1/events/stream"
MEMBERS: Final = "/league/v1/members"
LEDGER: Final = "/league/v1/ledger"
PAGE_MAX: Final = 500
BACKOFF_MIN_S: Final = 0.5
BACKOFF_MAX_S: Final = 15.0

Event = Mapping[str, Any]


class EventSelection(msgspec.Struct, frozen=True):
    """Which events."""

    after: int | None = None
    types: tuple[str, ...] = ()
    issuers: tuple[str, ...] = ()
    """DIDs or names of members."""
    entities: tuple[str, ...] = ()
    """Identifiers or keys."""
    from_time: str | None = None
    to_time: str | None = None
    limit: int | None = None


def time_of(text: str, now: datetime) -> str:
    """A moment: RFC 3339, a date, or a duration that lies so far back; UTC unless it says otherwise.

    Raises:
        Refused: `Code.INVALID`.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            moment = now - timedelta(seconds=seconds_of(text))
        except (Refused, OverflowError) as error:
            raise Refused(
                Code.INVALID,
                f"{text!r} is not a time; write 2026-08-01, 2026-08-01T09:30:00Z, or how long ago, as 2h.",
            ) from error
    return rfc3339(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


class EventReader:
    """Reads the events of one marketplace's ledger."""

    def __init__(self, client: Client, clock: Clock, output: Output) -> None:
        self._client = client
        self._clock = clock
        self._output = output
        self.names: dict[str, str] = {}
        """Members' names by DID."""

    async def prepare(self, wanted: EventSelection) -> EventSelection:
        """Learn the members' names, and put DIDs where names were given.

        Raises:
            Refused: `Code.INVALID`, when there is no such member.
        """
        answer = await self._client.get(MEMBERS)
        members = answer.get("members") if isinstance(answer, dict) else answer
        if not isinstance(members, list):
            raise self._client.not_ours()
        self.names = {str(member.get("did")): str(member.get("name")) for member in members}
        dids = {name: did for did, name in self.names.items()}
        issuers = []
        for issuer in wanted.issuers:
            if not issuer.startswith("did:") and issuer not in dids:
                raise Refused(
                    Code.INVALID, f"There is no member {issuer!r}; there are {', '.join(sorted(dids))}."
                )
            issuers.append(dids.get(issuer, issuer))
        return msgspec.structs.replace(wanted, issuers=tuple(issuers))

    async def pages(self, wanted: EventSelection) -> AsyncIterator[Event]:
        """Events that are on the ledger now."""
        after, given = wanted.after or 0, 0
        while wanted.limit is None or given < wanted.limit:
            size = PAGE_MAX if wanted.limit is None else min(PAGE_MAX, wanted.limit - given)
            page = await self._client.get(
                EVENTS, [("after", str(after)), ("limit", str(size)), *_parameters(wanted)]
            )
            events = page.get("events") if isinstance(page, dict) else None
            if not isinstance(events, list):
                raise self._client.not_ours()
            for event in events:
                given += 1
                yield event
            scanned_to, last = page.get("scanned_to"), page.get("last_position")
            if not isinstance(scanned_to, int) or scanned_to <= after:
                return
            after = scanned_to
            if isinstance(last, int) and after >= last:
                return

    async def follow(self, wanted: EventSelection) -> AsyncIterator[Event]:
        """Events as they are committed; without `after` or `from_time`, new ones alone."""
        after = wanted.after
        if after is None:
            after = 0 if wanted.from_time else await self._last_position()
        given, attempt, is_first = 0, 0, True
        while True:
            try:
                # The stream knows no end; `to` is kept here.
                parameters = [("after", str(after)), *(p for p in _parameters(wanted) if p[0] != "to")]
                resume = None if is_first else str(after)
                async for message in self._client.stream(STREAM, parameters, resume):
                    attempt = 0
                    if message.id.isdigit():
                        after = int(message.id)
                    event = self._decoded(message.data)
                    if event is None:
                        continue
                    if wanted.to_time is not None and str(event.get("time", "")) >= wanted.to_time:
                        return
                    yield event
                    given += 1
                    if given == wanted.limit:
                        return
            except Unavailable as error:
                if is_first:
                    raise
                self._output.message(f"{error.message} Trying again.")
            is_first = False
            await self._clock.sleep(min(BACKOFF_MAX_S, BACKOFF_MIN_S * 2 ** min(attempt, 10)))
            attempt += 1

    def line(self, event: Event) -> str:
        """An event in one line: position, time, name, issuer, version, lifecycle status, entity key."""
        content = event.get("event")
        content = content if isinstance(content, dict) else {}
        entity = content.get("entity")
        entity = entity if isinstance(entity, dict) else {}
        metadata = content.get("metadata")
        status = metadata.get("lifecycleStatus") if isinstance(metadata, dict) else None
        issuer = str(content.get("issuer", ""))
        return printable(
            f"{event.get('position', ''):>7}  {event.get('time', '')}  {content.get('type', ''):<44}"
            f"  {self.names.get(issuer, issuer):<12}  v{entity.get('version', '')!s:<4} {status or '-':<10}"
            f"  {str(entity.get('key', ''))[:16]}"
        )

    async def _last_position(self) -> int:
        ledger = await self._client.get(LEDGER)
        position = ledger.get("position") if isinstance(ledger, dict) else None
        if not isinstance(position, int):
            raise self._client.not_ours()
        return position

    @staticmethod
    def _decoded(data: str) -> Event | None:
        try:
            event = msgspec.json.decode(data)
        except msgspec.DecodeError:
            return None
        return event if isinstance(event, dict) and "event" in event else None


def _parameters(wanted: EventSelection) -> Sequence[tuple[str, str]]:
    found = [("type", name) for name in wanted.types]
    found += [("issuer", did) for did in wanted.issuers]
    found += [("entity", name) for name in wanted.entities]
    found += [("from", wanted.from_time)] if wanted.from_time else []
    found += [("to", wanted.to_time)] if wanted.to_time else []
    return found
