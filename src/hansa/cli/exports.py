"""Takes a marketplace's catalogue out as JSON Lines, over the TM Forum lists, in a form that can be imported again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import msgspec

from hansa.business.models import Models
from hansa.cli.catalogue import entries
from hansa.cli.client import Client, refusal
from hansa.cli.imports.lines import COLLECTION
from hansa.core.errors import Code, HansaError, Refused

PAGE: Final = 500


class TypeSkipped(msgspec.Struct, frozen=True):
    """Entities of this type were not given to us."""

    type: str
    reason: str


def types_to_export(models: Models, wanted: Sequence[str]) -> list[str]:
    """The types that were asked for, or all: what others refer to first.

    Raises:
        Refused: `Code.INVALID`, when a type is not known.
    """
    for name in wanted:
        if name not in models.types:
            known = ", ".join(sorted(models.types))
            raise Refused(Code.INVALID, f"There is no type {name!r}; there are {known}.")
    chosen = wanted or [name for name in models.types if _is_listed(models, name)]
    return sorted(chosen, key=lambda name: (models.served(name)[0].id != "TMF632", name))


def _is_listed(models: Models, name: str) -> bool:
    """Whether there is a list of all entities of that type; of a sub-resource there is one below each parent."""
    _, resource = models.served(name)
    return "list" in resource.methods and resource.parent_name is None


async def export_lines(
    client: Client, models: Models, types: Sequence[str], *, is_own_only: bool
) -> AsyncIterator[bytes | TypeSkipped]:
    """An entity a line.

    Raises:
        HansaError: when the marketplace cannot be asked.
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
            yield TypeSkipped(type_name, error.message)


async def _listed(client: Client, path: str) -> AsyncIterator[dict[str, Any]]:
    """All entities of a list. One that moves to another page meanwhile is given once."""
    seen: set[str] = set()
    offset = 0
    while True:
        answer = await client.request("GET", path, parameters=[("offset", str(offset)), ("limit", str(PAGE))])
        if answer.status not in {200, 206}:
            raise refusal(answer, client.url)
        page = answer.json()
        if not isinstance(page, list):
            raise client.not_ours()
        for entity in page:
            identifier = entity.get("id")
            if identifier not in seen:
                seen.add(identifier)
                yield entity
        offset += len(page)
        total = answer.headers.get("x-total-count", "")
        if not page or (total.isdigit() and offset >= int(total)):
            return


async def _replicas(client: Client) -> frozenset[str]:
    """Identifiers of other members' entities; they are always public, so the catalogue has them all."""
    status = await client.get("/league/v1/status")
    own = status.get("did") if isinstance(status, dict) else None
    if not isinstance(own, str):
        raise client.not_ours()
    return frozenset([entry.id async for entry in entries(client) if entry.origin != own])


def _line(collection: str, type_name: str, entity: dict[str, Any]) -> bytes:
    rest = {name: value for name, value in entity.items() if name not in {"href", "@type", "id"}}
    # A type of the provider's own is served at the path of the type that it extends.
    told = entity.get("@type", type_name)
    named = {} if collection == type_name else {COLLECTION: collection}
    return msgspec.json.encode({"@type": told, **named, "id": entity.get("id"), **rest})
