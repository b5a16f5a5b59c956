"""`hansa export`: writes a catalogue as JSON Lines, in the form that `hansa import` reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import msgspec

from hansa.business.models import Models, load
from hansa.cli.catalogue.listing import entries
from hansa.cli.client import Client, PatientClient, refusal
from hansa.cli.imports.lines import COLLECTION
from hansa.cli.output import Output
from hansa.cli.status import fetch_status
from hansa.core.errors import Code, HansaError, Refused
from hansa.core.known_words import check_known

PAGE_SIZE: Final = 500
TYPES_SHOWN_MAX: Final = 5


class SkippedType(msgspec.Struct, frozen=True):
    """A type whose entities the marketplace did not give."""

    type: str
    reason: str


def run_export(url: str, token: str | None, types: Sequence[str], is_own_only: bool, output: Output) -> None:
    """Write a catalogue as JSON Lines.

    Raises:
        HansaError: when the marketplace cannot be reached, refuses, or has no such type.
    """

    async def run() -> int:
        count = 0
        skipped: list[str] = []
        models = load()
        async with PatientClient(url, token, connections_max=2) as client:
            names = types_to_export(models, types)
            async for line in export_lines(client, models, names, is_own_only=is_own_only):
                if not isinstance(line, SkippedType):
                    count += 1
                    output.data(line.decode())
                elif types:
                    raise Refused(Code.UNAUTHENTICATED, line.reason)
                else:
                    skipped.append(line.type)
        if skipped:
            shown = ", ".join(skipped[:TYPES_SHOWN_MAX]) + (" …" if len(skipped) > TYPES_SHOWN_MAX else "")
            output.message(f"{len(skipped)} private types are left out ({shown}): give a token.")
        return count

    count = asyncio.run(run())
    if output.is_live:
        output.message(f"{count:,} entities.")


def types_to_export(models: Models, requested: Sequence[str]) -> list[str]:
    """The requested types, or all where none is: first those that others refer to.

    Raises:
        Refused: `Code.INVALID`, when a type is unknown.
    """
    check_known(requested, models.types, "type")
    names = requested or [name for name in models.types if _is_listed(models, name)]
    return sorted(names, key=lambda name: (models.served(name)[0].id != "TMF632", name))


def _is_listed(models: Models, name: str) -> bool:
    """Whether one list holds all entities of a type; a sub-resource has a list for each parent instead."""
    _, resource = models.served(name)
    return "list" in resource.methods and resource.parent_name is None


async def export_lines(
    client: Client, models: Models, types: Sequence[str], *, is_own_only: bool
) -> AsyncIterator[bytes | SkippedType]:
    """The entities of these types, one a line, and the types that need a token.

    Raises:
        HansaError: when the marketplace cannot be reached or refuses.
    """
    replicas = await _replicas(client) if is_own_only else frozenset()
    for type_name in types:
        api, resource = models.served(type_name)
        try:
            async for entity in _listed(client, api.base_path + resource.path):
                if entity.get("id") not in replicas:
                    yield _line(type_name, resource.type, entity)
        except HansaError as error:
            if error.code is not Code.UNAUTHENTICATED:
                raise
            yield SkippedType(type_name, error.message)


async def _listed(client: Client, path: str) -> AsyncIterator[dict[str, Any]]:
    """All entities of a list, each once, also when one moves to another page meanwhile."""
    seen: set[str] = set()
    offset = 0
    while True:
        parameters = [("offset", str(offset)), ("limit", str(PAGE_SIZE))]
        response = await client.request("GET", path, parameters=parameters)
        if response.status not in {200, 206}:
            raise refusal(response, client.url)
        page = response.json()
        if not isinstance(page, list):
            raise client.not_a_marketplace()
        for entity in page:
            identifier = entity.get("id")
            if identifier not in seen:
                seen.add(identifier)
                yield entity
        offset += len(page)
        total = response.headers.get("x-total-count", "")
        if not page or (total.isdigit() and offset >= int(total)):
            return


async def _replicas(client: Client) -> frozenset[str]:
    """Identifiers of other members' entities; these are always public, so the catalogue lists all of them."""
    own = (await fetch_status(client)).get("did")
    if not isinstance(own, str):
        raise client.not_a_marketplace()
    return frozenset([entry.id async for entry in entries(client) if entry.origin != own])


def _line(collection: str, type_name: str, entity: dict[str, Any]) -> bytes:
    rest = {name: value for name, value in entity.items() if name not in {"href", "@type", "id"}}
    # An extension type of the provider is served at the path of the type that it extends.
    actual_type = entity.get("@type", type_name)
    qualifier = {} if collection == type_name else {COLLECTION: collection}
    return msgspec.json.encode({"@type": actual_type, **qualifier, "id": entity.get("id"), **rest})
