"""An attacker with the keys of a member, in a process of its own.

`python -m tests.soak.attacker KIND MEMBER_FOLDER SEED VICTIM_URL…`

flood    valid batches as fast as its engine takes them, and faster than its quota allows
forge    batches and bytes that break every rule there is
steal    claims every identifier that it sees at the victims, with contents of its own

It submits to the engine of its own member. What was answered is counted, and printed as JSON when it gets
SIGTERM.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec

from hansa.core.batches import BatchSigner
from hansa.core.canonical import canonical_json, hashlink
from hansa.core.clock import SystemClock
from hansa.core.curve_points import P256_ORDER
from hansa.core.events import (
    CREATE,
    EntityVersion,
    LifecycleEvent,
    Metadata,
    encode_event,
    event_name,
    event_time,
    identified,
)
from hansa.core.identifiers import entity_key
from hansa.core.keys import SigningKey
from hansa.node.folder import CARD, LEDGER, MEMBER_KEY
from hansa.node.folder.card import read_card
from hansa.pubsub.engine import RPC_SOCKET, SocketFolder
from hansa.pubsub.ledger.rules import NUMBERED_CODES
from hansa.pubsub.ledger.rules.events import encode_events

CLOCK: Final = SystemClock()
TYPE: Final = "ProductOffering"
OFFERINGS: Final = "/tmf-api/productCatalogManagement/v4/productOffering"
BATCH: Final = 100
"""Events in a valid batch."""
IN_FLIGHT: Final = 8
"""Submissions at a time."""
REST_S: Final = 0.5
"""Pause while nothing answers, as during a restart."""
POLL_S: Final = 0.02
"""Of the thief."""
REMEMBERED_MAX: Final = 200


class Attacker:
    """Somebody with the keys and the engine of a member."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.draw = random.Random(seed)
        self.did = read_card(folder / CARD).member.did
        self.signer = BatchSigner(SigningKey.load(folder / MEMBER_KEY), self.did, CLOCK)
        self.counts: Counter[str] = Counter()
        self.accepted: list[bytes] = []
        """Transactions that were taken, for repeating them."""
        self._sockets = SocketFolder(folder / LEDGER)
        self._session: aiohttp.ClientSession | None = None
        self._seq = 0

    # -- what it makes ----------------------------------------------------------------------------------------

    def next_seq(self) -> int:
        """Greater than all before, of other processes with this key too."""
        self._seq = max(self._seq + 1, int(CLOCK.now().timestamp() * 1_000_000))
        return self._seq

    def describe(self, entity_id: str = "", **overrides: Any) -> LifecycleEvent:
        """A first version of an entity that does not exist."""
        now = CLOCK.now()
        entity_id = entity_id or f"urn:x:{self.draw.getrandbits(64):x}"
        fields: dict[str, Any] = {
            "id": "",
            "type": event_name(TYPE, CREATE),
            "time": event_time(now),
            "issuer": self.did,
            "entity": EntityVersion(entity_key(self.did, entity_id), TYPE, 1),
            "hashlink": hashlink(entity_id.encode()),
            "metadata": Metadata(lifecycleStatus="Launched"),
        }
        event = LifecycleEvent(**(fields | overrides))
        return event if event.id else identified(event)

    def transaction(self, *events: LifecycleEvent, signer: BatchSigner | None = None) -> bytes:
        """A batch of these events."""
        contents = [encode_event(event) for event in events]
        return encode_events((signer or self.signer).sign(contents, self.next_seq()), contents)

    def valid(self, count: int = BATCH) -> bytes:
        """A batch that breaks no rule."""
        return self.transaction(*(self.describe() for _ in range(count)))

    # -- where it sends it ------------------------------------------------------------------------------------

    async def submit(self, kind: str, transaction: bytes) -> bool:
        """Hand a transaction to the engine; whether it was taken."""
        if self._session is None:
            connector = aiohttp.UnixConnector(self._sockets.path(RPC_SOCKET))
            timeout = aiohttp.ClientTimeout(total=10)
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout)
        call = {
            "jsonrpc": "2.0",
            "id": 0,
            "method": "broadcast_tx_sync",
            "params": {"tx": base64.b64encode(transaction).decode()},
        }
        try:
            async with self._session.post("http://engine/", data=msgspec.json.encode(call)) as answer:
                said = msgspec.json.decode(await answer.read())
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError):
            self.counts[f"{kind}: no answer"] += 1
            await CLOCK.sleep(REST_S)
            return False
        code = said["result"]["code"] if "result" in said else None
        if code == 0:
            self.accepted = [*self.accepted[-REMEMBERED_MAX:], transaction]
        outcome = "taken" if code == 0 else "not by the engine" if code is None else str(NUMBERED_CODES[code])
        self.counts[f"{kind}: {outcome}"] += 1
        return code == 0

    async def close(self) -> None:
        """Close connections."""
        if self._session is not None:
            await self._session.close()
        self._sockets.close()


# -- flood --------------------------------------------------------------------------------------------------------


async def flood(attacker: Attacker, _: Sequence[str]) -> None:
    """Valid batches without end, and without the pauses that the answers ask for."""

    async def send() -> None:
        while True:
            await attacker.submit("flood", attacker.valid(attacker.draw.choice((1, 10, BATCH, BATCH))))

    await asyncio.gather(*(send() for _ in range(IN_FLIGHT)))


# -- forge --------------------------------------------------------------------------------------------------------


def deep(attacker: Attacker) -> bytes:
    """A header that exhausts the stack of a recursive parser."""
    depth = attacker.draw.choice((400, 990, 1100, 5000, 50_000))
    header = b'{"alg":"ES256","kid":"k","typ":"jose","x":' + b"[" * depth + b"]" * depth + b"}"
    jws = base64.urlsafe_b64encode(header).rstrip(b"=") + b".e30." + b"A" * 86
    return b'{"kind":"events","batch":"%b","events":[%b]}' % (jws, encode_event(attacker.describe()))


def ahead(attacker: Attacker) -> bytes:
    """A version without the one before."""
    version = attacker.draw.choice((2, 3, 2**52))
    entity = EntityVersion(entity_key(attacker.did, "urn:x:ahead"), TYPE, version)
    return attacker.transaction(attacker.describe(entity=entity, previous=hashlink(b"nothing")))


def other_signature(attacker: Attacker) -> bytes:
    """The other signature of a batch that verifies: (r, n - s)."""
    raw = attacker.valid(1)
    begin = raw.index(b'"batch":"') + 9
    end = raw.index(b'"', begin)
    head, payload, signature = raw[begin:end].split(b".")
    both = base64.urlsafe_b64decode(signature + b"=" * (-len(signature) % 4))
    s = P256_ORDER - int.from_bytes(both[32:])
    other = base64.urlsafe_b64encode(both[:32] + s.to_bytes(32)).rstrip(b"=")
    return raw[:begin] + b".".join((head, payload, other)) + raw[end:]


def part(attacker: Attacker) -> bytes:
    """Fewer events than were signed."""
    contents = [encode_event(attacker.describe()) for _ in range(3)]
    return encode_events(attacker.signer.sign(contents, attacker.next_seq()), contents[:2])


def repeated(attacker: Attacker) -> bytes:
    """What was taken before, or is nearly that."""
    if not attacker.accepted:
        return b"{}"
    raw = attacker.draw.choice(attacker.accepted)
    return attacker.draw.choice((raw, raw + b" ", raw.replace(b":", b": ", 1), raw[:-1]))


def flipped(attacker: Attacker) -> bytes:
    """A valid batch with one bit changed."""
    raw = bytearray(attacker.valid(2))
    raw[attacker.draw.randrange(len(raw))] ^= 1 << attacker.draw.randrange(8)
    return bytes(raw)


def by_a_stranger(attacker: Attacker) -> bytes:
    """A batch of somebody who is no member."""
    key = SigningKey.generate()
    signer = BatchSigner(key, key.verifying_key().did_key(), CLOCK)
    return attacker.transaction(attacker.describe(), signer=signer)


def garbage(attacker: Attacker) -> bytes:
    """Any bytes."""
    return attacker.draw.randbytes(attacker.draw.choice((1, 100, 10_000)))


def huge(attacker: Attacker) -> bytes:
    """More than any transaction may have."""
    return b'{"kind":"events","batch":"' + b"x" * attacker.draw.choice((250_000, 262_145, 400_000))


def at_another_time(attacker: Attacker) -> bytes:
    """An event of another time."""
    time = attacker.draw.choice(("1999-12-31T23:59:59.000Z", "2199-01-01T00:00:00.000Z"))
    return attacker.transaction(attacker.describe(time=time))


FORGERIES: Final[dict[str, Callable[[Attacker], bytes]]] = {
    "deep": deep,
    "ahead": ahead,
    "other signature": other_signature,
    "part": part,
    "repeated": repeated,
    "flipped": flipped,
    "stranger": by_a_stranger,
    "garbage": garbage,
    "huge": huge,
    "time": at_another_time,
}


async def forge(attacker: Attacker, _: Sequence[str]) -> None:
    """One forgery after the other, and now and then something valid to repeat."""
    while True:
        name = attacker.draw.choice([*FORGERIES, "valid"])
        raw = attacker.valid(1) if name == "valid" else FORGERIES[name](attacker)
        await attacker.submit(name, raw)


# -- steal --------------------------------------------------------------------------------------------------------


async def steal(attacker: Attacker, victims: Sequence[str]) -> None:
    """Claim what becomes visible at the victims."""
    seen: set[str] = set()
    timeout = aiohttp.ClientTimeout(total=5)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        while True:
            for victim in victims:
                url = f"{victim}{OFFERINGS}?limit=20&sort=-lastUpdate&fields=id"
                try:
                    async with session.get(url) as answer:
                        listed = msgspec.json.decode(await answer.read())
                except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError):
                    continue
                names = (
                    [one["id"] for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
                )
                fresh = [name for name in names if name not in seen]
                seen.update(fresh)
                if fresh:
                    await attacker.submit("theft", theft(attacker, fresh))
            await CLOCK.sleep(POLL_S)


def theft(attacker: Attacker, identifiers: Sequence[str]) -> bytes:
    """A batch that claims identifiers of others."""
    events = []
    for identifier in identifiers:
        body = canonical_json({"@type": TYPE, "id": identifier, "name": "stolen"})
        nonce = attacker.draw.choice((None, attacker.draw.randbytes(16).hex()))
        events.append(attacker.describe(identifier, hashlink=hashlink(body), nonce=nonce))
    return attacker.transaction(*events)


ATTACKS: Final = {"flood": flood, "forge": forge, "steal": steal}


async def main(kind: str, folder: Path, seed: int, victims: Sequence[str]) -> None:
    """Attack until SIGTERM."""
    attacker = Attacker(folder, seed)
    attack = asyncio.create_task(ATTACKS[kind](attacker, victims))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, attack.cancel)
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await attack
    finally:
        await attacker.close()
    sys.stdout.buffer.write(msgspec.json.encode(dict(sorted(attacker.counts.items()))) + b"\n")


if __name__ == "__main__":
    os.nice(15)  # elsewhere it would have a machine of its own
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]))
