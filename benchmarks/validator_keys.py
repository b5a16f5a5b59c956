"""Validator keys of Ed25519 and of ML-DSA-65, which is post-quantum: what a signature's size costs.

Four and seven validators of either type on this machine. A commit has the signatures of all of them, and so
has every receipt, which besides has their public keys.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import aiohttp
import msgspec

from benchmarks.bus import Issuer, latency, ledgers, throughput
from benchmarks.plan import Plan
from benchmarks.report import Figure, Row, Table
from hansa.pubsub.engine import RPC_SOCKET, SocketFolder
from hansa.pubsub.engine.keys import KEY_FORMATS, KEY_TYPES, KeyType

MEMBERS: Final = (4, 7)
BASE64: Final = 3 / 4
"""Bytes of a text of base64."""


async def signature_bytes(home: Path) -> int:
    """Of all signatures in the newest commit."""
    with SocketFolder(home) as sockets:
        connector = aiohttp.UnixConnector(sockets.path(RPC_SOCKET))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get("http://engine/commit") as response,
        ):
            answer = msgspec.json.decode(await response.read())
    signatures = answer["result"]["signed_header"]["commit"]["signatures"]
    return round(sum(len(one["signature"] or "") for one in signatures) * BASE64)


async def measured(plan: Plan, folder: Path, members: int, key_type: KeyType) -> Row:
    """One league."""
    issuers = [Issuer(f"member-{number}") for number in range(1, members + 1)]
    async with ledgers(folder, issuers, validator_key_type=key_type) as buses:
        idle = await latency(plan, issuers, buses)
        busy = await throughput(plan, issuers, buses)
        signed = await signature_bytes(folder / issuers[0].member.name)
    keys = members * KEY_FORMATS[key_type].public_size_bytes
    return Row(
        f"{members} validators, {key_type}",
        (
            *idle.figures[:2],
            *busy.figures[-1:],
            Figure("signatures of a commit", signed, "bytes"),
            Figure("and keys, as in a receipt", signed + keys, "bytes"),
        ),
    )


async def measure(plan: Plan, folder: Path) -> list[Table]:
    """The table of validator keys."""
    rows = [
        await measured(plan, folder / f"{members}-{key_type}", members, key_type)
        for members in MEMBERS
        for key_type in KEY_TYPES
    ]
    return [Table("Validator keys", tuple(rows))]
