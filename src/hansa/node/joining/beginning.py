"""With what a newcomer's engine begins: a snapshot of the others, or their blocks from the first on.

A snapshot, if two members offer one, or the only other one does; a league that is young has none, and then
all blocks are few. The engine verifies headers from the block on which the members agreed when the newcomer
asked them (`joining.json`), as long as that is not older than the trust period.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Final

import structlog

from hansa.core.clock import Clock, read_rfc3339
from hansa.core.errors import HansaError
from hansa.core.http import HttpClient
from hansa.node.joining.inquiry import bootstrap_of
from hansa.node.joining.mark import TRUST_PERIOD_S, read_joining
from hansa.pubsub.engine import StateSync
from hansa.pubsub.light.remote import LIGHT_PATH

SERVERS_MAX: Final = 4
SERVERS_MIN: Final = 2

log = structlog.get_logger("hansa.node")


async def state_sync_of(folder: Path, http: HttpClient, clock: Clock) -> StateSync | None:
    """From which snapshots an engine begins that has no blocks yet; None: with the blocks from the first on.

    An engine that has blocks goes on from them, whatever this says.

    Args:
        folder: The marketplace's.
        http: To the members.
        clock: For the age of what is trusted.
    """
    joining = read_joining(folder)
    if joining is None or clock.now() - read_rfc3339(joining.since) > timedelta(seconds=TRUST_PERIOD_S):
        return None
    answers = await asyncio.gather(
        *(bootstrap_of(http, endpoint) for endpoint in joining.members), return_exceptions=True
    )
    servers = []
    for endpoint, answer in zip(joining.members, answers, strict=True):
        if isinstance(answer, BaseException):
            if not isinstance(answer, HansaError):
                raise answer
        elif answer.snapshots:
            servers.append(f"{endpoint}{LIGHT_PATH}")
    if len(servers) < SERVERS_MIN:
        log.info("ledger_begins_with_blocks", snapshots_at=len(servers))
        return None
    log.info("ledger_begins_with_snapshot", servers=servers[:SERVERS_MAX], trusted=joining.trusted_height)
    return StateSync(
        *(tuple(servers[:SERVERS_MAX]), joining.trusted_height, joining.trusted_hash), TRUST_PERIOD_S
    )
