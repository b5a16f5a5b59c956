"""The real engine, with an application that is built into it."""

from __future__ import annotations

import base64
import json
import os
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog

from hansa.core.clock import SystemClock
from hansa.pubsub.engine import (
    RPC_SOCKET,
    EngineKey,
    EngineSettings,
    GenesisValidator,
    SocketFolder,
    Supervised,
    engine_spec,
    genesis_document,
    supervised_engine,
    wait_for_listener,
    write_home,
)
from tests.league.harness import free_base_port

pytestmark = pytest.mark.league

CLOCK = SystemClock()
Record = dict[str, Any]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home of a league of one, in a folder with a path longer than a socket's address."""
    folder = tmp_path / ("deep" * 30)
    key = EngineKey.generate()
    validator = GenesisValidator(name="lubeck", public_key=key.public, power=1)
    settings = EngineSettings(
        name="lubeck",
        p2p_port=free_base_port(1) + 1,
        is_single_machine=True,
        proxy_app="persistent_kvstore",
        log_level="info",
    )
    genesis = genesis_document("engine-test", datetime(2026, 1, 1, tzinfo=UTC), [validator], {})
    write_home(folder, settings, genesis, validator_key=key)
    return folder


@pytest.fixture
def records() -> list[Record]:
    return []


@pytest.fixture
async def engine(home: Path, records: list[Record]) -> AsyncIterator[Supervised]:
    """The engine, running."""

    def capture(_: Any, level: str, record: Any) -> Any:
        records.append({"level": level, **record})
        raise structlog.DropEvent

    logger = structlog.wrap_logger(structlog.testing.CapturingLogger(), processors=[capture])
    supervised = supervised_engine(engine_spec(home, os.environ), CLOCK, logger, has_application=False)
    await supervised.start()
    yield supervised
    await supervised.stop()


async def rpc(home: Path, method: str, **parameters: str) -> Any:
    """The result of a call on the engine's socket."""
    await wait_for_listener(home, RPC_SOCKET, CLOCK, 20.0)
    with SocketFolder(home) as sockets:
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(sockets.path(RPC_SOCKET))) as session,
            session.get(f"http://engine/{method}", params=parameters) as answer,
        ):
            return json.loads(await answer.read())["result"]


async def commit(home: Path, transaction: str) -> int:
    """Submit a transaction of the built-in application; the height that it is committed at."""
    result = await rpc(home, "broadcast_tx_commit", tx=f'"{transaction}"')
    assert result["tx_result"]["code"] == 0
    return int(result["height"])


async def value_of(home: Path, key: str) -> str:
    result = await rpc(home, "abci_query", data=f'"{key}"')
    return base64.b64decode(result["response"]["value"] or "").decode()


async def test_a_league_of_one_commits_and_goes_on_after_a_kill(home: Path, engine: Supervised) -> None:
    first = await commit(home, "ship=cog")
    assert first >= 1
    pid = engine.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while engine.starts < 2:
        await CLOCK.sleep(0.01)
    assert await commit(home, "port=lubeck") > first
    assert await value_of(home, "ship") == "cog"


async def test_an_idle_league_makes_no_blocks(home: Path, engine: Supervised) -> None:
    height = await commit(home, "ship=cog")
    await CLOCK.sleep(1.5)
    status = await rpc(home, "status")
    # One more block at most: it carries the hash of the state after the transaction.
    assert int(status["sync_info"]["latest_block_height"]) <= height + 1


async def test_the_log_arrives_as_records(home: Path, engine: Supervised, records: list[Record]) -> None:
    await commit(home, "ship=cog")
    await engine.stop()
    started = next(record for record in records if record["event"] == "child_started")
    assert started["child"] == "cometbft"
    assert any(record.get("module") == "consensus" for record in records)
    assert not [record for record in records if record["event"] == "output"]
    assert engine.last_exit is not None
    assert engine.last_exit.status == 0
