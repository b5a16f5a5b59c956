"""The league as a marketplace in a folder here sees it, and what is signed with that marketplace's key.

What is read comes from the ledger in the folder; what is signed goes to its engine. So the key stays on this
machine, no API and no token takes part, and the marketplace has to run.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import structlog

from hansa.cli.league.own_light_member import light_bus
from hansa.cli.local import CLOCK, ENVIRONMENT
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.governance.signer import GovernanceSigner
from hansa.core.keys import SigningKey
from hansa.core.members import Member
from hansa.node.folder import LEDGER, LEDGER_STATE, MEMBER_KEY, adopt_member_key
from hansa.node.settings.loading import Settings, load_settings
from hansa.pubsub.bus import Bus
from hansa.pubsub.cometbft import CometBftBus
from hansa.pubsub.engine import RPC_SOCKET
from hansa.pubsub.league.state import LeagueState
from hansa.pubsub.ledger.commitments.governance import LEAGUE
from hansa.pubsub.ledger_records import GovernanceKind, Governed


class OwnLeague(msgspec.Struct, frozen=True):
    """A marketplace and its league."""

    folder: Path
    did: str
    key: SigningKey
    """Of the member."""
    bus: Bus
    state: LeagueState
    """When it was opened."""

    @property
    def me(self) -> Member:
        """This marketplace, as the ledger has it.

        Raises:
            Refused: `Code.NOT_FOUND`, when it is no member.
        """
        member = self.state.member(self.did)
        if member is None:
            raise Refused(
                Code.NOT_FOUND, f"The league has no member {self.did}; nothing of it would be taken."
            )
        return member

    @property
    def league_id(self) -> str:
        """Which league it is; what is signed is for this one alone."""
        record = self.state.record("league", "league")
        if record is None:
            raise Refused(
                Code.NOT_IMPLEMENTED,
                f"This league judges by {self.state.ruleset}, which has no votes: its members stay those of its genesis.",
            )
        return LEAGUE.read(record).id

    @property
    def signer(self) -> GovernanceSigner:
        """Signs for this marketplace."""
        return GovernanceSigner(self.key, self.did, self.league_id, CLOCK)

    async def govern(self, kind: GovernanceKind, sign: Callable[[int], str]) -> Governed:
        """Sign something and have it committed.

        Raises:
            Refused: the code of the rule that it breaks.
            Unavailable: The marketplace does not run, or the league does not decide now.
        """
        try:
            return await self.bus.govern(kind, self.did, sign)
        except Unavailable as error:
            if not error.message.endswith("engine cannot be reached."):
                raise
            raise Unavailable(
                error.code,
                f"The marketplace in {self.folder} has to run, so that this reaches the league: hansa serve {self.folder}",
            ) from error


def _drop(_: object, method: str, event: MutableMapping[str, object]) -> str:
    """What the bus logs is for the log of a process that runs, not for the output of a command."""
    del method, event
    raise structlog.DropEvent


@asynccontextmanager
async def own_league(folder: Path) -> AsyncIterator[OwnLeague]:
    """The league of the marketplace in a folder.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when the folder is not a marketplace's.
        Unavailable: Its ledger has not begun.
    """
    settings = load_settings(folder, ENVIRONMENT)
    is_light = settings.bus == "light"
    async with light_bus(folder, settings) if is_light else _engine_bus(folder, settings) as bus:
        try:
            state = await bus.league()
        except Unavailable as error:
            message = f"{folder}: {error.message} Start it: hansa serve {folder}"
            raise Unavailable(error.code, message, error.retry_after_s) from error
        me = state.member(settings.did)
        key = SigningKey.load(folder / MEMBER_KEY) if me is None else adopt_member_key(folder, me)
        yield OwnLeague(folder, settings.did, key, bus, state)


@asynccontextmanager
async def _engine_bus(folder: Path, settings: Settings) -> AsyncIterator[Bus]:
    """The bus of a marketplace with an engine of its own."""
    silent = structlog.wrap_logger(None, processors=[_drop])
    bus = CometBftBus(
        folder / LEDGER / RPC_SOCKET, folder / LEDGER_STATE, CLOCK, settings.limits, logger=silent
    )
    try:
        yield bus
    finally:
        await bus.close()
