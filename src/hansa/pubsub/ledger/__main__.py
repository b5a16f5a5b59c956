"""The ledger application as a process: `python -m hansa.pubsub.ledger --state FILE --socket FILE`."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import structlog
import uvloop
from structlog.typing import FilteringBoundLogger

from hansa.core.clock import SystemClock
from hansa.core.errors import HansaError
from hansa.core.files import restrict_new_files
from hansa.pubsub.ledger.abci import AbciServer
from hansa.pubsub.ledger.application import LedgerApplication
from hansa.pubsub.ledger.history.worker import HistoryWorker
from hansa.pubsub.ledger.methods import AbciMethods
from hansa.pubsub.ledger.pruning import PruningRules
from hansa.pubsub.ledger.snapshots.service import snapshot_service
from hansa.pubsub.ledger.sqlite_state import SqliteState


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; the exit status says why it ended."""
    parser = argparse.ArgumentParser(prog="python -m hansa.pubsub.ledger", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="the SQLite file of the ledger's state")
    parser.add_argument("--socket", type=Path, required=True, help="the unix socket for CometBFT")
    parser.add_argument(
        "--blocks-retained",
        type=int,
        default=0,
        help="how many of the last blocks the engine retains; 0: all",
    )
    parser.add_argument(
        "--engine", default="", metavar="VERSION", help="version of the engine, such as v0.40.0"
    )
    parser.add_argument(
        "--switch-height",
        type=int,
        default=0,
        help="the block from which on hansa-ledger/4 judges instead of hansa-ledger/3; 0: none",
    )
    parser.add_argument(
        "--retained-min-s", type=int, default=0, help="blocks of this age are retained in any case"
    )
    parser.add_argument(
        "--light-blocks", type=Path, default=None, help="the file of light blocks; no other block is removed"
    )
    parser.add_argument("--snapshots", type=Path, help="the folder for snapshots; without it none are taken")
    parser.add_argument("--history", type=Path, help="the folder where segments of the history come")
    parser.add_argument(
        "--first-peers", default="", help="node ids of peers before the ledger has begun, with commas between"
    )
    parser.add_argument("--chain-id", default="", help="of the league; needed for snapshots")
    options = parser.parse_args(arguments)
    restrict_new_files()
    logger = _logger()
    try:
        uvloop.run(_serve(options, logger))
    except HansaError as error:
        logger.error("ledger_application_ends", code=error.code, reason=error.message)
        return error.exit_status
    return 0


async def _serve(options: argparse.Namespace, logger: FilteringBoundLogger) -> None:
    state = SqliteState(options.state)
    snapshots = None
    try:
        if options.snapshots is not None:
            snapshots = snapshot_service(state, options.chain_id, options.snapshots, logger)
            snapshots.start()
        application = LedgerApplication(
            state, engine=options.engine, switch_height=options.switch_height, snapshots=snapshots
        )
        if not state.is_empty:
            application.require_release(state.head.height + 1)
        pruning = PruningRules(options.blocks_retained, options.retained_min_s, options.light_blocks)
        methods = AbciMethods(
            *(application, SystemClock(), logger, pruning),
            frozenset(options.first_peers.split(",")) - {""},
        )
        serving = asyncio.create_task(AbciServer(methods, logger).serve(options.socket))
        tasks = {serving}
        if options.history is not None:
            worker = HistoryWorker(state, options.history, SystemClock(), logger)
            tasks.add(asyncio.create_task(worker.run()))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, serving.cancel)
        ended, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in others:
            task.cancel()
        await asyncio.wait(tasks)
        for task in ended:
            if not task.cancelled():
                task.result()
    finally:
        if snapshots is not None:
            snapshots.close()
        state.close()


def _logger() -> FilteringBoundLogger:
    """One JSON object a line, for the process that started this one."""
    made: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
    )
    return made


if __name__ == "__main__":
    raise SystemExit(main())
