"""The versions of an own entity, and what differs between two of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hansa.core.errors import Code, Refused
from hansa.portal.providers.offers.elsewhere.differences import ValueDifference, differences
from hansa.portal.providers.offers.elsewhere.sights import LeagueSights, VersionHistory
from hansa.portal.providers.offers.own import OwnEntity

NOW: Final = 0
"""In place of a version: what is here now."""
VERSION_MAX_DIGITS: Final = 15


class VersionsPage(msgspec.Struct, frozen=True):
    """For the template `providers/versions.html`."""

    entity: OwnEntity
    history: VersionHistory
    comparable: tuple[int, ...]
    """Versions whose bytes are here, the newest first."""
    before: int
    """Of the two that are compared; 0: nothing is compared."""
    after: int
    """The other one; 0: what is here now."""
    differences: tuple[ValueDifference, ...]


async def versions_page(
    sights: LeagueSights, entity: OwnEntity, here: bytes, before: str, after: str
) -> VersionsPage:
    """The page, with what differs between two versions.

    Args:
        sights: Knows the versions.
        entity: Whose they are.
        here: What others would get of it now.
        before: The number of a version; empty: the newest whose bytes are here and that is not `after`.
        after: Likewise; empty or 0: what is here now.

    Raises:
        Refused: `Code.INVALID`; `Code.NOT_FOUND`, when the bytes of a version are not here any more.
    """
    history, contents = await sights.history(entity.id)
    comparable = tuple(one.version for one in history.versions if one.has_content)
    later = _number("to", after) if after else NOW
    earlier = _number("from", before) if before else _earlier(comparable, later)
    result: tuple[ValueDifference, ...] = ()
    if earlier:
        former = _fields(contents, earlier)
        latter = msgspec.json.decode(here) if later == NOW else _fields(contents, later)
        result = differences(former, latter)
    return VersionsPage(entity, history, comparable, earlier, later, result)


def _fields(contents: Mapping[int, bytes], version: int) -> Any:
    content = contents.get(version)
    if content is None:
        raise Refused(Code.NOT_FOUND, f"What was announced as version {version} is not here any more.")
    return msgspec.json.decode(content)


def _earlier(comparable: tuple[int, ...], later: int) -> int:
    """The newest version before another one whose bytes are here; 0: there is none."""
    return next((one for one in comparable if later == NOW or one < later), 0)


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= VERSION_MAX_DIGITS):
        raise Refused(Code.INVALID, f"{name} is the number of a version.")
    return int(text)
