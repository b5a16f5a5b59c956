"""Makes the golden corpus anew: `python -m tests.golden.record`. Only where the rules change on purpose."""

from __future__ import annotations

import base64
import json
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from hansa.core.curve_points import P256_ORDER
from hansa.core.events import (
    ATTRIBUTE_VALUE_CHANGE,
    CREATE,
    DELETE,
    STATE_CHANGE,
    EntityVersion,
    Metadata,
    ValidityPeriod,
    encode_event,
)
from hansa.core.jws import token_header
from hansa.pubsub.ledger.application import LedgerApplication
from hansa.pubsub.ledger.genesis import AppState, LedgerParams
from hansa.pubsub.ledger.results import RuleBroken
from hansa.pubsub.ledger.rules.events import ATTEMPT_MAX, encode_events
from hansa.pubsub.ledger.sqlite_state import MEMORY, SqliteState
from hansa.pubsub.ledger.state_machine import Block
from tests.contract.origins import Origin
from tests.golden.corpus import Corpus, Genesis, RecordedBlock, RecordedTransaction, write_corpus

TIME_MS: Final = 1_767_225_600_000
BLOCKS: Final = 110
MUTATIONS_PER_BLOCK: Final = 14
UNICODE_15_DIGIT: Final = "\U00011f52"
ARABIC_DIGIT: Final = "\u0662"
METADATA: Final = (
    Metadata(),
    Metadata(lifecycleStatus="Launched", categories=("cloud", "edge")),
    Metadata(lifecycleStatus='a "quoted" \\ one', region=("\u00cele-de-France", "\U0001f30d")),
    Metadata(validFor=ValidityPeriod("2026-01-01T00:00:00Z"), compliance=("GDPR",)),
)

Named = tuple[str, bytes]


def b64(raw: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def unb64(text: str) -> bytes:
    """The bytes again."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Recorder:
    """Draws transactions, and records what the state machine makes of them."""

    def __init__(self) -> None:
        self.draw = random.Random(15)
        self.active = [Origin("lubeck"), Origin("bergen", "Ed25519"), Origin("riga")]
        self.suspended, self.stranger = Origin("bruges", status="suspended"), Origin("stranger", "Ed25519")
        members = tuple(origin.member for origin in (*self.active, self.suspended))
        self.app_state = msgspec.json.encode(AppState(members, LedgerParams(2048, 4, 8192)))
        self.application = LedgerApplication(SqliteState(MEMORY))
        self.app_hash = self.application.init_chain(self.app_state, TIME_MS).hex()
        self.committed: list[bytes] = []
        self.chains: dict[tuple[str, str], str] = {}

    def record(self) -> Corpus:
        """The corpus."""
        blocks = tuple(self._block(height) for height in range(1, BLOCKS + 1))
        return Corpus(Genesis(self.app_state.decode(), TIME_MS, self.app_hash), blocks)

    def _block(self, height: int) -> RecordedBlock:
        named = [*self._valid()]
        if height % 10:  # every tenth block is one that ProcessProposal accepts
            named += [*self._rule_breakers(), *self._mutations(named)]
            self.draw.shuffle(named)
        raw = tuple(transaction for _, transaction in named)
        time_ms = TIME_MS + 1000 * height
        effects = self.application.finalize_block(Block(height, time_ms, raw))
        self.application.commit()
        numbers = [r.rule.number if isinstance(r, RuleBroken) else 0 for r in effects.refusals]
        self.committed += [one for one, number in zip(raw, numbers, strict=True) if number == 0]
        transactions = tuple(
            RecordedTransaction(name, one.decode("latin-1"), number)
            for (name, one), number in zip(named, numbers, strict=True)
        )
        return RecordedBlock(height, time_ms, transactions, self.application.state.head.app_hash.hex())

    def _valid(self) -> Iterator[Named]:
        for number in range(4):
            origin = self.draw.choice(self.active)
            events = [self._next(origin) for _ in range(self.draw.randint(1, 2))]
            yield f"valid {number}", encode_events(events, self.draw.choice((0, 0, 1, ATTEMPT_MAX)))

    def _next(self, origin: Origin) -> str:
        """The next version of some entity."""
        entity = f"entity-{self.draw.randrange(40)}"
        last = self.chains.get((origin.did, entity))
        changes = (CREATE,) if last in {None, DELETE} else (STATE_CHANGE, ATTRIBUTE_VALUE_CHANGE, DELETE)
        change = self.draw.choice(changes)
        self.chains[origin.did, entity] = change
        return origin.event(entity, change, metadata=self.draw.choice(METADATA))

    def _rule_breakers(self) -> Iterator[Named]:
        """One of each kind of semantic fault, well-formed and signed."""
        origin = self.active[0]
        new = f"new-{self.draw.getrandbits(32):x}"
        described = origin.describe(new)
        faults: dict[str, Callable[[], str]] = {
            "stranger": lambda: self.stranger.event(new),
            "suspended": lambda: self.suspended.sign(self.suspended.describe(new)),
            "another's key": lambda: self.active[1].sign(described),
            "unknown key": lambda: Origin("other").sign(described),
            "foreign location": lambda: origin.sign(
                origin.describe(new, location=f"https://other.example/?hl={described.hashlink}")
            ),
            "gap": lambda: origin.sign(
                origin.describe(
                    new,
                    entity=EntityVersion(origin.key_of(new), "ProductOffering", 2),
                    previous=described.hashlink,
                )
            ),
            "two issuers": lambda: "",
            "another purpose": lambda: origin.key.sign(
                encode_event(described), token_header("JWT"), typ="JWT"
            ),
            "too large": lambda: origin.sign(
                origin.describe(new, metadata=Metadata(categories=tuple("x" * 100 for _ in range(20))))
            ),
        }
        name = self.draw.choice(sorted(faults))
        if name == "two issuers":
            yield (
                name,
                encode_events([origin.sign(described), self.active[1].sign(self.active[1].describe(new))]),
            )
        else:
            yield name, encode_events([faults[name]()])
        alive = [
            entity for (did, entity), last in self.chains.items() if did == origin.did and last != DELETE
        ]
        if alive:
            entity = self.draw.choice(alive)
            change = self.draw.choice((ATTRIBUTE_VALUE_CHANGE, DELETE))
            link = described.hashlink
            forged = (
                origin.describe(entity, change, previous=link)
                if change != DELETE
                else origin.describe(entity, change, location=origin.location(origin.key_of(entity), link))
            )
            yield "another version before", encode_events([origin.sign(forged)])
        yield "replay", self.draw.choice(self.committed or [b"nothing"])
        if self.draw.random() < 0.1:
            yield "five events", encode_events([origin.sign(origin.describe(f"{new}-{n}")) for n in range(5)])

    def _mutations(self, named: list[Named]) -> Iterator[Named]:
        for _ in range(MUTATIONS_PER_BLOCK):
            raw = self.draw.choice(self.committed[-20:] or [named[0][1]])
            name = self.draw.choice(sorted(MUTATIONS))
            yield name, MUTATIONS[name](raw, self.draw)


# -- mutations of whole transactions, and of the JWS inside --------------------------------------------------


def on_event(
    change: Callable[[str, str, str, random.Random], str],
) -> Callable[[bytes, random.Random], bytes]:
    """A mutation of the first event of a transaction: header, payload and signature, as they are written."""

    def mutate(raw: bytes, draw: random.Random) -> bytes:
        begin = raw.index(b'["') + 2
        end = raw.index(b'"', begin)
        header, payload, signature = raw[begin:end].decode().split(".")
        return raw[:begin] + change(header, payload, signature, draw).encode() + raw[end:]

    return mutate


def with_header(write: Callable[[dict[str, Any]], bytes]) -> Callable[[bytes, random.Random], bytes]:
    """The header written in another way."""
    return on_event(lambda h, p, s, _: f"{b64(write(json.loads(unb64(h))))}.{p}.{s}")


def with_payload(write: Callable[[bytes], bytes]) -> Callable[[bytes, random.Random], bytes]:
    """The payload written in another way."""
    return on_event(lambda h, p, s, _: f"{h}.{b64(write(unb64(p)))}.{s}")


def compact(value: object) -> bytes:
    """JSON as our forms write it."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def other_s(header: str, payload: str, signature: str, _: random.Random) -> str:
    """The other ES256 signature that verifies."""
    raw = unb64(signature)
    s = P256_ORDER - int.from_bytes(raw[32:]) % P256_ORDER
    return f"{header}.{payload}.{b64(raw[:32] + s.to_bytes(32))}"


def flipped(raw: bytes, draw: random.Random) -> bytes:
    """One bit otherwise."""
    at = draw.randrange(len(raw))
    return raw[:at] + bytes([raw[at] ^ 1 << draw.randrange(8)]) + raw[at + 1 :]


MUTATIONS: Final[dict[str, Callable[[bytes, random.Random], bytes]]] = {
    "a flipped bit": flipped,
    "truncated": lambda raw, draw: raw[: draw.randrange(len(raw))],
    "empty": lambda _raw, _draw: b"",
    "too large": lambda raw, _: raw + b" " * 8192,
    "more behind": lambda raw, _: raw + b" ",
    "blanks": lambda raw, _: raw.replace(b":", b": ", 1),
    "kind twice": lambda raw, _: b'{"kind":"events",' + raw[1:],
    "unknown kind": lambda raw, _: raw.replace(b'"events"', b'"propose"', 1),
    "attempt 0 written": lambda raw, _: raw.replace(b'{"kind":"events",', b'{"kind":"events","attempt":0,'),
    "attempt 256": lambda raw, _: raw.replace(b'{"kind":"events",', b'{"kind":"events","attempt":256,'),
    "escaped slash": lambda raw, _: raw.replace(b"events", b"\\u0065vents", 1),
    "deep brackets": lambda _raw, _draw: b'{"kind":"events","events":' + b"[" * 3000,
    "padding": on_event(lambda h, p, s, _: f"{h}=.{p}.{s}"),
    "loose bits": on_event(lambda h, p, s, _: f"{h}.{p}.{s[:-1]}{'B' if s[-1] != 'B' else 'C'}"),
    "other s": on_event(other_s),
    "zero signature": on_event(lambda h, p, _s, _d: f"{h}.{p}.{'A' * 86}"),
    "swapped parts": on_event(lambda h, p, s, _: f"{p}.{h}.{s}"),
    "four parts": on_event(lambda h, p, s, _: f"{h}.{p}.{s}.{s}"),
    "deep header": with_header(
        lambda fields: compact(fields)[:-1] + b',"x":' + b"[" * 990 + b"]" * 990 + b"}"
    ),
    "utf-16 header": with_header(lambda fields: json.dumps(fields).encode("utf-16")),
    "header with mark": with_header(lambda fields: b"\xef\xbb\xbf" + compact(fields)),
    "header in another order": with_header(
        lambda fields: json.dumps(dict(sorted(fields.items(), reverse=True)), separators=(",", ":")).encode()
    ),
    "alg twice": with_header(lambda fields: b'{"alg":"none",' + compact(fields)[1:]),
    "jwk in the header": with_header(lambda fields: compact({**fields, "jwk": {}})),
    "without iat": with_header(lambda fields: compact({k: v for k, v in fields.items() if k != "iat"})),
    "alg none": with_header(lambda fields: compact({**fields, "alg": "none"})),
    "other kid": with_header(lambda fields: compact({**fields, "kid": "other"})),
    "kid of letters": with_header(lambda fields: compact({**fields, "kid": "\u00e9"})),
    "arabic digits": with_payload(lambda raw: raw.replace(b'"time":"2', f'"time":"{ARABIC_DIGIT}'.encode())),
    "digits of unicode 15": with_payload(
        lambda raw: raw.replace(b'"time":"2', f'"time":"{UNICODE_15_DIGIT}'.encode())
    ),
    "day 31 of February": with_payload(lambda raw: raw.replace(b"-01-01T", b"-02-31T")),
    "previous null": with_payload(lambda raw: raw.replace(b'"time"', b'"previous":null,"time"')),
    "id twice": with_payload(lambda raw: raw.replace(b'"id":', b'"id":"x","id":')),
    "blank in the payload": with_payload(lambda raw: raw.replace(b",", b", ", 1)),
    "escaped payload": with_payload(lambda raw: raw.replace(b"ProductOffering", b"\\u0050roductOffering")),
    "lone surrogate": with_payload(lambda raw: raw.replace(b'"time":"', b'"time":"\xed\xa0\x80')),
    "version as a float": with_payload(lambda raw: raw.replace(b'"version":1', b'"version":1.0')),
    "version beyond": with_payload(lambda raw: raw.replace(b'"version":', b'"version":9007199254740992')),
    "empty metadata": with_payload(lambda raw: raw.replace(b'"time"', b'"metadata":{},"time"')),
    "audience": with_payload(lambda raw: raw.replace(b"{", b'{"audience":["x"],', 1)),
    "payload in the other direction": with_payload(lambda raw: raw[::-1]),
}


if __name__ == "__main__":
    corpus = Recorder().record()
    write_corpus(corpus)
    sys.stdout.write(f"{corpus.count} transactions recorded.\n")
