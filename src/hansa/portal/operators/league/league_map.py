"""The league as a picture: this marketplace in the middle, the others around it, each by how it does.

The picture says nothing that the table beside it does not say; it has bounds, beyond which there is none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

SHOWN_MAX: Final = 24
"""Members around the own one; of more, names would lie upon one another."""
WIDTH: Final = 640
HEIGHT: Final = 400
NAME_MAX_CHARS: Final = 18


class MappedMember(Protocol):
    """What the picture shows of a member."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def is_own(self) -> bool:
        """Whether it is this marketplace."""

    @property
    def condition(self) -> str:
        """How it does, in a word."""


class MapPoint(msgspec.Struct, frozen=True):
    """A member in the picture; the unit is the pixel of its own size."""

    name: str
    condition: str
    x: int
    y: int
    text_y: int


class LeagueMap(msgspec.Struct, frozen=True):
    """The picture."""

    own: MapPoint
    others: tuple[MapPoint, ...]
    width: int = WIDTH
    height: int = HEIGHT


def league_map(members: Sequence[MappedMember]) -> LeagueMap | None:
    """The picture of a league; None when it has too many members, or this marketplace is none of them."""
    own = next((one for one in members if one.is_own), None)
    others = [one for one in members if not one.is_own]
    if own is None or not others or len(others) > SHOWN_MAX:
        return None
    points = []
    for place, one in enumerate(others):
        angle = 2 * math.pi * place / len(others) - math.pi / 2
        x = round(WIDTH / 2 + math.cos(angle) * WIDTH * 0.38)
        y = round(HEIGHT / 2 + math.sin(angle) * HEIGHT * 0.37)
        points.append(
            MapPoint(_short(one.name), one.condition, x, y, y - 20 if math.sin(angle) < 0 else y + 30)
        )
    middle = MapPoint(_short(own.name), own.condition, WIDTH // 2, HEIGHT // 2, HEIGHT // 2 + 34)
    return LeagueMap(middle, tuple(points))


def _short(name: str) -> str:
    return name if len(name) <= NAME_MAX_CHARS else f"{name[: NAME_MAX_CHARS - 1]}…"
