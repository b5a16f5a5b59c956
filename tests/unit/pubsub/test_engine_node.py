"""CometBFT under supervision: what is particular to it. A small program stands for it."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import structlog

from hansa.core.clock import SystemClock
from hansa.pubsub.engine import ChildSpec, supervised_engine

CLOCK = SystemClock()
SAYS_AND_STAYS = "import sys, time; print(sys.argv[1], flush=True); time.sleep(600)"


def spec(folder: Path, says: str) -> ChildSpec:
    return ChildSpec(
        name="cometbft",
        argv=(sys.executable, "-c", SAYS_AND_STAYS, says),
        folder=folder,
        environment=dict(os.environ),
        restart_backoff_min_s=0.01,
        restart_backoff_max_s=0.01,
    )


async def test_an_engine_whose_consensus_failed_is_started_again(tmp_path: Path) -> None:
    line = '{"_msg":"CONSENSUS FAILURE!!!","err":"no space left on device","level":"error"}'
    engine = supervised_engine(spec(tmp_path, line), CLOCK, structlog.get_logger(), has_application=False)
    await engine.start()
    async with asyncio.timeout(30):
        while engine.starts < 3:
            await CLOCK.sleep(0.01)
    await engine.stop()
    assert engine.last_exit is not None


@pytest.mark.parametrize(
    "line",
    [
        '{"_msg":"Started node","nodeInfo":"{\\"_msg\\":\\"CONSENSUS FAILURE!!!\\","}',
        'peer said {"_msg":"CONSENSUS FAILURE!!!","level":"error"}',
    ],
)
async def test_words_of_others_do_not_end_the_engine(tmp_path: Path, line: str) -> None:
    heard: list[str] = []

    def keep(_: Any, __: str, record: Any) -> Any:
        heard.append(str(record["event"]))
        raise structlog.DropEvent

    logger = structlog.wrap_logger(structlog.testing.CapturingLogger(), processors=[keep])
    engine = supervised_engine(spec(tmp_path, line), CLOCK, logger, has_application=False)
    await engine.start()
    async with asyncio.timeout(30):
        while not {"Started node", "output"} & set(heard):
            await CLOCK.sleep(0.01)
    assert engine.pid is not None
    os.kill(engine.pid, 0)
    await engine.stop()
    assert engine.starts == 1
