"""`/operator/validators`: whose votes are in the latest blocks, in which rounds, and with what power."""

from __future__ import annotations

from typing import Final, Protocol

import msgspec
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hansa.portal.frame.people import Visit
from hansa.portal.operators.league.start import StateReads, Wrong
from hansa.portal.operators.operator_frame import OperatorFrame
from hansa.portal.operators.places import OperatorPage

VALIDATORS_PATH: Final = "/operator/validators"
BLOCKS_SHOWN: Final = 20
VALIDATORS_SHOWN_MAX: Final = 50
ABOUT_VOTES: Final = frozenset(
    {"ledger-not-begun", "quorum-missing", "no-block", "vote-missing", "validator-power-lost"}
)
"""Conditions that name members whose votes are missing."""


class DecidedBlock(msgspec.Struct, frozen=True):
    """A block that was decided."""

    height: int
    round: int
    """In which it was; 0 is the first attempt."""
    proposer: str
    """Name of the member, or address of its validator."""
    time: str


class ValidatorRow(msgspec.Struct, frozen=True):
    """A validator, and in which of the blocks its vote is."""

    name: str
    address: str
    power: int
    share: float
    """Of all voting power; 0 to 1."""
    signed: tuple[bool, ...]
    """As the blocks are ordered."""
    missed: int
    """In how many of them its vote is not."""


class ValidatorGrid(msgspec.Struct, frozen=True):
    """The latest blocks, and the validators."""

    blocks: tuple[DecidedBlock, ...]
    """The newest first; none while no engine answers."""
    validators: tuple[ValidatorRow, ...]
    """Those with most power first."""
    total: int
    """How many validators there are."""


class ValidatorReads(Protocol):
    """Knows the validators."""

    async def grid(self, blocks: int, validators: int, /) -> ValidatorGrid:
        """The latest blocks. Raises `Unavailable`, while the ledger does not answer."""


class ValidatorsPage(OperatorPage, frozen=True, kw_only=True):
    """For the template `league/validators.html`."""

    grid: ValidatorGrid
    wrong: tuple[Wrong, ...]
    """What keeps blocks from being decided, and whose votes are missing."""


class ValidatorsPages:
    """The handler of this path.

    Args:
        frame: Of pages for operators.
        validators: Knows them.
        state: Of the marketplace.
    """

    def __init__(self, frame: OperatorFrame, validators: ValidatorReads, state: StateReads) -> None:
        self._frame = frame
        self._validators = validators
        self._state = state

    def routes(self) -> list[BaseRoute]:
        """The one."""
        return [Route(VALIDATORS_PATH, self._frame.guarded(self.grid))]

    async def grid(self, visit: Visit) -> Response:
        """`GET /operator/validators`."""
        grid = await self._validators.grid(BLOCKS_SHOWN, VALIDATORS_SHOWN_MAX)
        wrong = tuple(one for one in (await self._state.state()).wrong if one.code in ABOUT_VOTES)
        page = ValidatorsPage(places=self._frame.places, grid=grid, wrong=wrong)
        return self._frame.page(visit, "league/validators.html", page)
