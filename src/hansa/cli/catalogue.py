"""Reads `/league/v1/catalogue` of a marketplace, page after page, in the order of identifiers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

import msgspec

from hansa.api.catalogue import PATH, CatalogueEntry, CataloguePage
from hansa.cli.client import Client, refusal

PAGE: Final = 1000


async def entries(client: Client, types: Sequence[str] = ()) -> AsyncIterator[CatalogueEntry]:
    """All public entities of a marketplace.

    Raises:
        HansaError: when they are not to be had.
    """
    after = ""
    while True:
        parameters = [("after", after), ("limit", str(PAGE)), *(("type", name) for name in types)]
        answer = await client.request("GET", PATH, parameters=parameters)
        if answer.status != 200:
            raise refusal(answer, client.url)
        try:
            page = msgspec.json.decode(answer.body, type=CataloguePage)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise client.not_ours() from error
        for entry in page.entities:
            if entry.id <= after:
                raise client.not_ours()
            after = entry.id
            yield entry
        if page.next is None:
            return
        after = page.next
