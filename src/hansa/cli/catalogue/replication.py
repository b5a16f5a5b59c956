"""`hansa replication list|why|retry|lost`: the states here of what is on the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import msgspec

from hansa.cli.catalogue.lost import lost_table
from hansa.cli.catalogue.member_names import member_named, name_with_status
from hansa.cli.client import Client, PatientClient, refusal
from hansa.cli.output import Output
from hansa.core.foreign_text import printable
from hansa.store.tables.publications import LostEntity

PATH: Final = "/league/v1/replicas"
PAGE_SIZE: Final = 1000
KEY_SHOWN_CHARS: Final = 16
HEADINGS: Final = ("origin", "state", "entity", "version", "attempts", "next attempt", "code", "reason")

Members = Mapping[str, Mapping[str, Any]]
"""Members by their DIDs."""


async def _members(client: Client) -> Members:
    content = await client.get("/league/v1/members")
    members = content.get("members", []) if isinstance(content, dict) else content
    return {str(one["did"]): one for one in members}


def _did(members: Members, origin: str | None) -> str | None:
    """The DID of a member, given that or its name."""
    return None if origin is None else str(member_named(tuple(members.values()), origin, "--origin")["did"])


def run_list(
    url: str, token: str | None, states: Sequence[str], origin: str | None, limit: int, output: Output
) -> None:
    """Show the heads that are not stored.

    Raises:
        HansaError: when the marketplace cannot be reached or refuses.
    """

    async def run() -> tuple[list[Any], Members]:
        async with PatientClient(url, token) as client:
            members = await _members(client)
            did = _did(members, origin)
            heads: list[Any] = []
            after: int | None = 0
            while after is not None and len(heads) < limit:
                size = min(PAGE_SIZE, limit - len(heads))
                parameters = [("after", str(after)), ("limit", str(size))]
                parameters += [("state", state) for state in states]
                parameters += [("origin", did)] if did is not None else []
                page = await client.get(PATH, parameters)
                heads += page["heads"]
                after = page["next_after"]
            return heads, members

    _show(*asyncio.run(run()), output)


def run_why(url: str, token: str | None, entity: str, output: Output) -> None:
    """Show the states of one entity.

    Raises:
        HansaError: when the marketplace cannot be reached or refuses.
    """

    async def run() -> tuple[list[Any], Members]:
        async with PatientClient(url, token) as client:
            members = await _members(client)
            return await client.get(f"{PATH}/{quote(entity, safe='')}"), members

    _show(*asyncio.run(run()), output)


def run_retry(
    url: str,
    token: str | None,
    states: Sequence[str],
    origin: str | None,
    entity: str | None,
    output: Output,
) -> None:
    """Have retrievals attempted again at once.

    Raises:
        HansaError: when the marketplace cannot be reached or refuses.
    """

    async def run() -> Any:
        async with PatientClient(url, token) as client:
            members = await _members(client) if origin is not None else {}
            body: dict[str, Any] = {"origin": _did(members, origin), "entity": entity}
            if states:
                body["states"] = states
            response = await client.request("POST", f"{PATH}/retry", body=msgspec.json.encode(body))
            if response.status != 200:
                raise refusal(response, client.url)
            return response.json()

    result = asyncio.run(run())
    if output.as_json:
        output.document(result)
    else:
        output.data(f"{result['retried']} retrievals are attempted again.")


def run_lost(url: str, token: str | None, output: Output) -> None:
    """Show the marketplace's own entities that the ledger has and its store has lost.

    Raises:
        HansaError: when the marketplace cannot be reached or refuses.
    """

    async def run() -> list[LostEntity]:
        lost: list[LostEntity] = []
        async with PatientClient(url, token) as client:
            while page := await client.get("/league/v1/lost", _after(lost)):
                try:
                    lost += msgspec.convert(page, list[LostEntity])
                except msgspec.ValidationError as error:
                    raise client.not_a_marketplace() from error
        return lost

    lost = asyncio.run(run())
    if output.as_json:
        output.document(lost)
    elif lost:
        lost_table(lost, output)
    else:
        output.message("None.")


def _after(lost: Sequence[LostEntity]) -> list[tuple[str, str]]:
    return [("after", str(lost[-1].position if lost else 0)), ("limit", str(PAGE_SIZE))]


def _show(heads: Sequence[Any], members: Members, output: Output) -> None:
    if output.as_json:
        output.document([{**head, "origin_status": _status(members, head)} for head in heads])
        return
    if not heads:
        output.message("None.")
        return
    output.table(HEADINGS, [_row(head, members) for head in heads])


def _status(members: Members, head: Mapping[str, Any]) -> str | None:
    """Of the origin of a head: `left` and `removed` are members no more; None: nobody knows it."""
    member = members.get(str(head["issuer"]))
    return None if member is None else str(member.get("status", "active"))


def _row(head: Mapping[str, Any], members: Members) -> list[str]:
    due_ms = head.get("due_ms") or 0
    is_waiting = head["state"] == "pending" and due_ms
    entity = head.get("entity_id") or f"{head.get('type') or ''} {str(head['key'])[:KEY_SHOWN_CHARS]}…"
    member, status = members.get(str(head["issuer"])), _status(members, head)
    name = str(head["issuer"] if member is None else member["name"])
    return [
        name_with_status(name, status),
        printable(str(head["state"])),
        printable(str(entity)),
        str(head["version"]),
        str(head.get("attempts") or 0),
        datetime.fromtimestamp(due_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ") if is_waiting else "",
        printable(str(head.get("problem") or "")),
        printable(str(head.get("reason") or "")),
    ]
