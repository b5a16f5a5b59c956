"""Engines that are no part of a league that follows the rules: a stranger's, and a validator's double."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections import deque
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from hansa.core.members import Member
from hansa.node.folder import CARD, GENESIS, VALIDATOR_KEY, install_genesis, league_genesis, load_genesis
from hansa.node.folder.card import MemberCard, read_card
from hansa.pubsub.engine import (
    ABCI_SOCKET,
    ChildSpec,
    EngineKey,
    EngineSettings,
    Supervised,
    engine_environment,
    engine_spec,
    json_relay,
    read_key,
    supervised_engine,
    write_home,
)
from hansa.pubsub.ledger.genesis import LedgerParams
from tests.league.harness import CLOCK, RunningMember, free_base_port

LINES_MAX: Final = 2000


class FurtherEngine:
    """A running engine of nobody's marketplace."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.lines: deque[str] = deque(maxlen=LINES_MAX)
        """The end of its log."""
        self.stops = 0
        """How often a peer ended the connection, or it ended one itself."""
        self._stopped = asyncio.Event()

    def logger(self) -> Any:
        """A logger whose lines come here."""

        def capture(_: Any, __: str, record: Any) -> Any:
            line = str(record)
            self.lines.append(line)
            if "Stopping peer for error" in line:
                self.stops += 1
                self._stopped.set()
            raise structlog.DropEvent

        return structlog.wrap_logger(structlog.testing.CapturingLogger(), processors=[capture])

    async def wait_until_stopped(self, times: int, timeout_s: float) -> None:
        """Wait until so many connections of it were ended; fails with its log."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.stops < times:
                    self._stopped.clear()
                    await self._stopped.wait()
        except TimeoutError:
            raise AssertionError("\n".join([*self.lines][-60:])) from None


@contextlib.asynccontextmanager
async def stranger(home: Path, members: Sequence[RunningMember]) -> AsyncIterator[FurtherEngine]:
    """An engine with a league's genesis and addresses, and a node key that the registry does not know."""
    settings = _settings("stranger", members, proxy_app="noop")
    write_home(home, settings, (members[0].folder / GENESIS).read_bytes())
    async with _running(home, mode=None) as engine:
        yield engine


@contextlib.asynccontextmanager
async def double(
    home: Path, validator: RunningMember, node_key: EngineKey, others: Sequence[RunningMember]
) -> AsyncIterator[FurtherEngine]:
    """A second engine with the key of a member's validator, behind an application that votes against every
    block: two contradictory votes of one validator in every round.

    Args:
        home: A new folder.
        validator: Whose validator key it has.
        node_key: From `register_second_engine`.
        others: The members that it connects to.
    """
    settings = _settings("double", others)
    key = read_key(validator.folder / VALIDATOR_KEY)
    genesis = (validator.folder / GENESIS).read_bytes()
    write_home(home, settings, genesis, node_key=node_key, validator_key=key)
    async with _running(home, mode="contrary") as engine:
        yield engine


def register_second_engine(
    members: Sequence[RunningMember], member: RunningMember, params: LedgerParams | None = None
) -> EngineKey:
    """Found a league anew that has not started yet, with a further node id of one member; that engine's key.

    Args:
        members: All of the league.
        member: The one with the second engine.
        params: Of the league; by default what a league has by default.
    """
    added = EngineKey.generate()
    cards = [read_card(each.folder / CARD) for each in members]
    at = members.index(member)
    cards[at] = with_node_id(cards[at], added.node_id)
    (member.folder / CARD).write_bytes(msgspec.json.encode(cards[at]))
    chain_id = load_genesis(member.folder)[1].chain_id
    document = msgspec.json.decode(league_genesis(cards, chain_id, CLOCK.now()))
    if params is not None:
        document["app_state"]["params"] = msgspec.to_builtins(params)
    genesis = msgspec.json.encode(document)
    for each in members:
        install_genesis(each.folder, genesis, [card.p2p_address for card in cards])
    return added


def with_node_id(card: MemberCard, node_id: str) -> MemberCard:
    """A card with a further node id of its member."""
    registered: Member = card.member
    node_ids = (*registered.node_ids, node_id)
    return msgspec.structs.replace(card, member=msgspec.structs.replace(registered, node_ids=node_ids))


def _settings(name: str, peers: Sequence[RunningMember], **options: Any) -> EngineSettings:
    addresses = tuple(read_card(member.folder / CARD).p2p_address for member in peers)
    return EngineSettings(
        name=name,
        p2p_port=free_base_port(1) + 1,
        persistent_peers=addresses,
        is_single_machine=True,
        log_level="info",
        **options,
    )


@contextlib.asynccontextmanager
async def _running(home: Path, mode: str | None) -> AsyncIterator[FurtherEngine]:
    further = FurtherEngine(home)
    logger = further.logger()
    children: list[Supervised] = []
    if mode is not None:
        children.append(Supervised(_application(home, mode), CLOCK, logger, json_relay(logger)))
    engine = engine_spec(home, os.environ)
    children.append(supervised_engine(engine, CLOCK, logger, has_application=mode is not None))
    try:
        for child in children:
            await child.start()
        yield further
    finally:
        for child in reversed(children):
            await child.stop()


def _application(home: Path, mode: str) -> ChildSpec:
    command = (sys.executable, "-m", "tests.league.hostile_ledger", mode)
    return ChildSpec(
        name="ledger",
        argv=(*command, "--state", "state.db", "--socket", ABCI_SOCKET),
        folder=home,
        environment={**engine_environment(os.environ), "PYTHONPATH": os.pathsep.join(sys.path)},
    )
