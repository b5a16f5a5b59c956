"""Makes the golden corpus anew, where the rules change on purpose: `python -m tests.golden.record`."""

from __future__ import annotations

import base64
import json
import random
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from hansa.core.batches import BATCH, BATCH_CONTENT_TYPE, BATCH_HEADER, BatchSigner, contents_root
from hansa.core.canonical import hashlink
from hansa.core.clock import ManualClock
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
    event_time,
)
from hansa.core.jws import token_header
from hansa.pubsub.ledger.application import LedgerApplication
from hansa.pubsub.ledger.commitments.stored import validator_address
from hansa.pubsub.ledger.genesis import AppState, LedgerParams
from hansa.pubsub.ledger.results import RuleBroken
from hansa.pubsub.ledger.rules.events import encode_events
from hansa.pubsub.ledger.sqlite_state import MEMORY, SqliteState
from hansa.pubsub.ledger.state_machine import Block
from hansa.pubsub.ledger_records import Misbehavior
from tests.contract.origins import Origin
from tests.golden.corpus import (
    CORPUS,
    Corpus,
    Genesis,
    RecordedBlock,
    RecordedTransaction,
    write_corpus,
)

TIME_MS: Final = 1_767_225_600_000
BLOCK_MS: Final = 3_600_000
"""Several days in all, because quotas are of a day."""
BLOCKS: Final = 110
MUTATIONS_PER_BLOCK: Final = 13
UNICODE_15_DIGIT: Final = "\U00011f52"
ARABIC_DIGIT: Final = "\u0662"
METADATA: Final = (
    Metadata(),
    Metadata(lifecycleStatus="Launched", categories=("cloud", "edge")),
    Metadata(lifecycleStatus='a "quoted" \\ one', region=("\u00cele-de-France", "\U0001f30d")),
    Metadata(validFor=ValidityPeriod("2026-01-01T00:00:00Z"), compliance=("GDPR",)),
)
LARGE: Final = Metadata(categories=tuple("x" * 100 for _ in range(14)))
TOO_LARGE: Final = Metadata(categories=tuple("x" * 100 for _ in range(20)))
PARAMS: Final = LedgerParams(
    event_size_max_bytes=2048,
    events_per_transaction_max=4,
    transaction_size_max_bytes=8192,
    issuer_events_per_s=4,
    issuer_bytes_per_s=2000,
    issuer_burst_s=10,
    issuer_bytes_per_day=100_000,
)

Named = tuple[str, bytes]


def b64(raw: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def unb64(text: str) -> bytes:
    """The bytes again."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Recorder:
    """Draws transactions, and records what the state machine makes of them.

    Args:
        seed: Of what is drawn; keys are new each time.
        is_ledger: Whether blocks are those of a league without hostile proposers: transactions that
            ProcessProposal accepts.
    """

    def __init__(self, seed: int, *, is_ledger: bool) -> None:
        self.draw = random.Random(seed)
        self.is_ledger = is_ledger
        self.active = [Origin("lubeck"), Origin("bergen", "Ed25519"), Origin("riga")]
        self.greedy = Origin("visby", "Ed25519")
        self.suspended, self.stranger = Origin("bruges", status="suspended"), Origin("stranger", "Ed25519")
        founders = [*self.active, self.greedy, self.suspended]
        members = tuple(
            msgspec.structs.replace(origin.member, power=10 if origin is not self.greedy else 0)
            for origin in founders
        )
        self.validators = {one.validator_key: one.power for one in members if one.power}
        self.app_state = msgspec.json.encode(AppState(members, PARAMS))
        self.application = LedgerApplication(SqliteState(MEMORY))
        self.app_hash = self.application.init_chain(self.app_state, TIME_MS, self.validators).hex()
        self.time = datetime.fromtimestamp(TIME_MS / 1000, UTC)
        self.committed: list[bytes] = []
        self.chains: dict[tuple[str, str], str] = {}

    def record(self) -> Corpus:
        """All blocks."""
        blocks = tuple(self._block(height) for height in range(1, BLOCKS + 1))
        genesis = Genesis(self.app_state.decode(), TIME_MS, self.validators, self.app_hash)
        return Corpus(genesis, blocks)

    def _block(self, height: int) -> RecordedBlock:
        time_ms = TIME_MS + BLOCK_MS * height
        self.time = datetime.fromtimestamp(time_ms / 1000, UTC)
        for origin in (*self.active, self.greedy, self.suspended, self.stranger):
            origin.time = self.time
        named = [] if height % 17 == 0 else [*self._valid(), *self._at_the_bounds()]
        if height % 10 and not self.is_ledger:  # every tenth block is one that ProcessProposal accepts
            for wrong in (*self._rule_breakers(), *self._mutations(named), *self._greed()):
                at = len(named) if wrong[0].startswith("much") else self.draw.randint(0, len(named))
                named.insert(at, wrong)
        raw = tuple(transaction for _, transaction in named)
        evidence = tuple(self._evidence(height))
        effects = self.application.finalize_block(Block(height, time_ms, raw, evidence))
        self.application.commit()
        numbers = [r.rule.number if isinstance(r, RuleBroken) else 0 for r in effects.refusals]
        self.committed += [one for one, number in zip(raw, numbers, strict=True) if number == 0]
        transactions = tuple(
            RecordedTransaction(name, one.decode("latin-1"), number)
            for (name, one), number in zip(named, numbers, strict=True)
        )
        app_hash = self.application.state.head.app_hash.hex()
        powers = {one.address: one.power for one in effects.validators}
        return RecordedBlock(height, time_ms, transactions, app_hash, evidence, powers)

    def _evidence(self, height: int) -> Iterator[Misbehavior]:
        """Against an unknown validator, twice the same, a further piece, and in the end against all."""
        lubeck, bergen, riga, stranger = (
            validator_address(origin.member.validator_key) for origin in (*self.active, self.stranger)
        )
        pieces = {
            1: [Misbehavior(stranger, 1, "duplicate_vote")],
            20: [Misbehavior(riga, 19, "duplicate_vote")],
            21: [Misbehavior(riga, 19, "duplicate_vote")],
            30: [Misbehavior(riga, 28, "light_client_attack"), Misbehavior(riga, 28, "unknown")],
            34: [Misbehavior(bergen, 33, "duplicate_vote")],
            60: [
                Misbehavior(validator_address(key), 59, "duplicate_vote")
                for key in sorted(self.validators, reverse=True)
            ],
            80: [Misbehavior(lubeck, 79, "duplicate_vote")],
        }
        yield from pieces.get(height, [])

    def _valid(self) -> Iterator[Named]:
        for number in range(3):
            origin = self.draw.choice(self.active)
            contents = [self._next(origin) for _ in range(self.draw.choice((1, 1, 2, 2, 3, 4)))]
            origin.seq += self.draw.choice((0, 0, 1, 1000))
            yield f"valid {number}", origin.batch(*contents)

    def _at_the_bounds(self) -> Iterator[Named]:
        """Events whose times are as far from the block's as they may be."""
        if self.draw.random() < 0.5:
            origin = self.draw.choice(self.active)
            seconds = self.draw.choice((PARAMS.event_ahead_max_s, -PARAMS.event_behind_max_s))
            time = event_time(self.time + timedelta(seconds=seconds))
            yield f"at {seconds} s", origin.batch(origin.event(self._new(), time=time))

    def _next(self, origin: Origin) -> bytes:
        """The next version of some entity."""
        entity = f"entity-{self.draw.randrange(40)}"
        last = self.chains.get((origin.did, entity))
        changes = (CREATE,) if last in {None, DELETE} else (STATE_CHANGE, ATTRIBUTE_VALUE_CHANGE, DELETE)
        change = self.draw.choice(changes)
        self.chains[origin.did, entity] = change
        nonce = self.draw.choice((None, f"{self.draw.getrandbits(128):032x}"))
        return origin.event(entity, change, metadata=self.draw.choice(METADATA), nonce=nonce)

    def _new(self) -> str:
        return f"new-{self.draw.getrandbits(64):x}"

    def _greed(self) -> Iterator[Named]:
        """More than the quotas allow, at the end of some blocks."""
        chance = self.draw.random()
        if chance < 0.03:
            for number in range(12):
                contents = [self.greedy.event(self._new(), metadata=Metadata()) for _ in range(4)]
                yield f"much {number}", self.greedy.batch(*contents)
        elif chance < 0.3:
            for number in range(4):
                contents = [self.greedy.event(self._new(), metadata=LARGE) for _ in range(3)]
                yield f"much {number}", self.greedy.batch(*contents)

    def _rule_breakers(self) -> Iterator[Named]:
        """One of each kind of fault that is well-formed and signed."""
        origin, new = self.active[0], self._new()
        names = sorted(set(FAULTS) - {"replay"})
        for name in self.draw.sample(names, 3):
            yield name, FAULTS[name](self, origin, new)
        yield "replay", FAULTS["replay"](self, origin, new)

    def _mutations(self, named: list[Named]) -> Iterator[Named]:
        for _ in range(MUTATIONS_PER_BLOCK):
            pool = [raw for name, raw in named if name.startswith("valid")] or self.committed[-6:]
            raw = self.draw.choice(pool if self.draw.random() < 0.7 else self.committed[-6:] or pool)
            name = self.draw.choice(sorted(MUTATIONS))
            yield name, MUTATIONS[name](raw, self.draw)

    # -- faults ----------------------------------------------------------------------------------------------

    def alive(self, origin: Origin) -> str:
        """An entity of an origin that is not deleted, or a new one."""
        names = [name for (did, name), last in self.chains.items() if did == origin.did and last != DELETE]
        return self.draw.choice(names) if names else self._new()

    def last_of(self, origin: Origin) -> bytes:
        """A committed transaction of an origin."""
        prefix = origin.did.encode()
        mine = [raw for raw in self.committed if prefix in unb64(batch_of(raw).split(".")[1])]
        return self.draw.choice(mine or self.committed or [b"nothing"])


def batch_of(raw: bytes) -> str:
    """The JWS of a transaction. Raises `ValueError` when there is none."""
    begin = raw.index(b'"batch":"') + 9
    return raw[begin : raw.index(b'"', begin)].decode("latin-1")


def contents_of(raw: bytes) -> list[bytes]:
    """The contents of a transaction that is well-formed."""
    return [compact(fields) for fields in json.loads(raw)["events"]]


def compact(value: object) -> bytes:
    """JSON as our forms write it."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def late(seconds: float) -> Callable[[Recorder, Origin, str], bytes]:
    """An event whose time is so far from the block's."""
    return lambda self, origin, new: origin.batch(
        origin.event(new, time=event_time(self.time + timedelta(seconds=seconds)))
    )


def forged(origin: Origin, signer: Origin, *contents: bytes) -> bytes:
    """A batch in the name of one member, signed by another."""
    return origin.batch(*contents, signer=BatchSigner(signer.key, origin.did, ManualClock()))


def other_purpose(origin: Origin, content: bytes) -> bytes:
    """A batch with the header of a token."""
    origin.seq += 1
    payload = BATCH.write(
        {"count": 1, "issuer": origin.did, "root": contents_root([content]).hex(), "seq": origin.seq}
    )
    return encode_events(origin.key.sign(payload, token_header("JWT"), typ="JWT"), [content])


def wrong_payload(origin: Origin, content: bytes, **fields: Any) -> bytes:
    """A batch that says something else of its events, signed by its issuer."""
    origin.seq += 1
    right = {"count": 1, "issuer": origin.did, "root": contents_root([content]).hex(), "seq": origin.seq}
    payload = BATCH.write({**right, **fields})
    iat = TIME_MS // 1000
    jws = origin.key.sign(payload, BATCH_HEADER, cty=BATCH_CONTENT_TYPE, iat=iat, typ="jose")
    return encode_events(jws, [content])


def contradiction(origin: Origin, new: str, old: bytes, replacement: bytes) -> bytes:
    """A signed event whose fields contradict each other."""
    return origin.batch(origin.event(new).replace(old, replacement))


Fault = Callable[[Recorder, Origin, str], bytes]
FAULTS: Final[dict[str, Fault]] = {
    "stranger": lambda self, _, new: self.stranger.batch(self.stranger.event(new)),
    "suspended": lambda self, _, new: self.suspended.batch(self.suspended.event(new)),
    "another's key": lambda self, origin, new: forged(origin, self.active[1], origin.event(new)),
    "unknown key": lambda _, origin, new: forged(origin, Origin("other"), origin.event(new)),
    "gap": lambda _, origin, new: origin.batch(
        origin.event(
            new,
            entity=EntityVersion(origin.key_of(new), "ProductOffering", 2),
            previous=hashlink(b"no version"),
        )
    ),
    "another version before": lambda self, origin, new: origin.batch(
        unchained(origin, self.alive(origin), ATTRIBUTE_VALUE_CHANGE, previous=hashlink(new.encode()))
    ),
    "deletion of another version": lambda self, origin, new: origin.batch(
        unchained(origin, self.alive(origin), DELETE, hashlink=hashlink(new.encode()))
    ),
    "id twice in a batch": lambda _, origin, new: origin.batch(
        origin.event(new, id="019b7600-0000-7000-8000-000000000000"),
        origin.event(f"{new}-2", id="019b7600-0000-7000-8000-000000000000"),
    ),
    "used id": lambda self, origin, new: origin.batch(
        origin.event(new, id=json.loads(contents_of(self.last_of(origin))[0])["id"])
        if self.committed
        else origin.event(new)
    ),
    "five events": lambda _, origin, new: origin.batch(*(origin.event(f"{new}-{n}") for n in range(5))),
    "too large an event": lambda _, origin, new: origin.batch(origin.event(new, metadata=TOO_LARGE)),
    "another purpose": lambda _, origin, new: other_purpose(origin, origin.event(new)),
    "ahead of its time": late(PARAMS.event_ahead_max_s + 0.001),
    "behind its time": late(-PARAMS.event_behind_max_s - 0.001),
    "another count": lambda _, origin, new: wrong_payload(origin, origin.event(new), count=2),
    "another root": lambda _, origin, new: wrong_payload(origin, origin.event(new), root="0" * 64),
    "day 31 of February": lambda _, origin, new: contradiction(origin, new, b'"2026-01-01T', b'"2026-02-31T'),
    "deletion of nothing": lambda _, origin, new: contradiction(origin, new, b"Create", b"Delete"),
    "previous without a version": lambda _, origin, new: contradiction(
        origin, new, b'"time"', b'"previous":"%b","time"' % hashlink(b"none").encode()
    ),
    "replay": lambda self, _, __: self.draw.choice(self.committed or [b"nothing"]),
    "signed again with its number": lambda self, origin, _: again(self.last_of(origin), origin),
    "a subset with its signature": lambda self, origin, _: subset(self.last_of(origin)),
    "the same events with the next number": lambda self, origin, _: origin.batch(
        *contents_of(self.last_of(origin)) if self.committed else [origin.event("first")]
    ),
}


def unchained(origin: Origin, entity: str, change: str, **overrides: Any) -> bytes:
    """The content of an event that does not become a part of its entity's chain."""
    return encode_event(origin.describe(entity, change, **overrides))


def again(raw: bytes, origin: Origin) -> bytes:
    """The same events with the same number under a new signature."""
    if raw == b"nothing":
        return raw
    seq = json.loads(unb64(batch_of(raw).split(".")[1]))["seq"]
    return origin.batch(*contents_of(raw), seq=seq)


def subset(raw: bytes) -> bytes:
    """The first event alone under the signature of all."""
    return raw if raw == b"nothing" else encode_events(batch_of(raw), contents_of(raw)[:1])


# -- mutations of whole transactions, of the JWS inside, and of the contents ---------------------------------


def on_batch(
    change: Callable[[str, str, str, random.Random], str],
) -> Callable[[bytes, random.Random], bytes]:
    """A mutation of the batch of a transaction: header, payload and signature, as they are written."""

    def mutate(raw: bytes, draw: random.Random) -> bytes:
        jws = batch_of(raw)
        header, payload, signature = jws.split(".")
        changed = change(header, payload, signature, draw)
        return raw.replace(jws.encode("latin-1"), changed.encode("utf-8"), 1)

    return mutate


def with_header(write: Callable[[dict[str, Any]], bytes]) -> Callable[[bytes, random.Random], bytes]:
    """The header written in another way."""
    return on_batch(lambda h, p, s, _: f"{b64(write(json.loads(unb64(h))))}.{p}.{s}")


def with_payload(write: Callable[[bytes], bytes]) -> Callable[[bytes, random.Random], bytes]:
    """The payload written in another way."""
    return on_batch(lambda h, p, s, _: f"{h}.{b64(write(unb64(p)))}.{s}")


def with_contents(write: Callable[[bytes], bytes]) -> Callable[[bytes, random.Random], bytes]:
    """The events written in another way."""

    def mutate(raw: bytes, _: random.Random) -> bytes:
        at = raw.index(b'"events":[')
        return raw[:at] + write(raw[at:])

    return mutate


def other_s(header: str, payload: str, signature: str, _: random.Random) -> str:
    """The other ES256 signature that verifies."""
    raw = unb64(signature)
    s = P256_ORDER - int.from_bytes(raw[32:]) % P256_ORDER
    return f"{header}.{payload}.{b64(raw[:32] + s.to_bytes(32))}"


def flipped(raw: bytes, draw: random.Random) -> bytes:
    """One bit otherwise."""
    at = draw.randrange(max(1, len(raw)))
    return raw[:at] + bytes([raw[at] ^ 1 << draw.randrange(8)]) + raw[at + 1 :] if raw else raw


MUTATIONS: Final[dict[str, Callable[[bytes, random.Random], bytes]]] = {
    "a flipped bit": flipped,
    "truncated": lambda raw, draw: raw[: draw.randrange(len(raw) or 1)],
    "empty": lambda _raw, _draw: b"",
    "too large": lambda raw, _: raw + b" " * 8192,
    "more behind": lambda raw, _: raw + b" ",
    "blanks": lambda raw, _: raw.replace(b":", b": ", 1),
    "kind twice": lambda raw, _: b'{"kind":"events",' + raw[1:],
    "unknown kind": lambda raw, _: raw.replace(b'"events"', b'"propose"', 1),
    "attempt": lambda raw, _: raw.replace(b'{"kind":"events",', b'{"kind":"events","attempt":1,'),
    "escaped letter": lambda raw, _: raw.replace(b"events", b"\\u0065vents", 1),
    "deep brackets": lambda _raw, _draw: b'{"kind":"events","batch":"a.b.c","events":' + b"[" * 3000,
    "padding": on_batch(lambda h, p, s, _: f"{h}=.{p}.{s}"),
    "loose bits": on_batch(lambda h, p, s, _: f"{h}.{p}.{s[:-1]}{'B' if s[-1:] != 'B' else 'C'}"),
    "other s": on_batch(other_s),
    "zero signature": on_batch(lambda h, p, _s, _d: f"{h}.{p}.{'A' * 86}"),
    "swapped parts": on_batch(lambda h, p, s, _: f"{p}.{h}.{s}"),
    "four parts": on_batch(lambda h, p, s, _: f"{h}.{p}.{s}.{s}"),
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
    "another iat": with_header(lambda fields: compact({**fields, "iat": 1})),
    "alg none": with_header(lambda fields: compact({**fields, "alg": "none"})),
    "other kid": with_header(lambda fields: compact({**fields, "kid": "other"})),
    "kid of letters": with_header(lambda fields: compact({**fields, "kid": "\u00e9"})),
    "another content type": with_header(lambda fields: compact({**fields, "cty": "application/json"})),
    "seq beyond": with_payload(lambda raw: raw.replace(b'"seq":', b'"seq":9007199254740992')),
    "seq with a zero": with_payload(lambda raw: raw.replace(b'"seq":', b'"seq":0')),
    "seq as a float": with_payload(lambda raw: raw.replace(b"}", b".0}")),
    "seq of another": with_payload(lambda raw: raw.replace(b'"seq":', b'"seq":9')),
    "count of none": with_payload(lambda raw: raw.replace(b'"count":', b'"count":0,"count":')),
    "arabic count": with_payload(lambda raw: raw.replace(b'"count":', f'"count":{ARABIC_DIGIT}'.encode())),
    "root in capitals": with_payload(lambda raw: raw.replace(b'"root":"', b'"root":"A')),
    "payload in the other direction": with_payload(lambda raw: raw[::-1]),
    "blank in the payload": with_payload(lambda raw: raw.replace(b",", b", ", 1)),
    "further field in the payload": with_payload(lambda raw: raw.replace(b"{", b'{"audience":1,', 1)),
    "no events": with_contents(lambda _: b'"events":[]}'),
    "events without an end": with_contents(lambda raw: raw[:-2]),
    "last event twice": with_contents(lambda raw: raw[:-2] + b"," + raw[10:]),
    "arabic digits": with_contents(lambda raw: raw.replace(b'"time":"2', f'"time":"{ARABIC_DIGIT}'.encode())),
    "digits of unicode 15": with_contents(
        lambda raw: raw.replace(b'"time":"2', f'"time":"{UNICODE_15_DIGIT}'.encode())
    ),
    "another day": with_contents(lambda raw: raw.replace(b"-01-01T", b"-01-02T")),
    "previous null": with_contents(lambda raw: raw.replace(b'"time"', b'"previous":null,"time"')),
    "id twice": with_contents(lambda raw: raw.replace(b'"id":', b'"id":"x","id":')),
    "blank in an event": with_contents(lambda raw: raw.replace(b",", b", ", 1)),
    "escaped event": with_contents(lambda raw: raw.replace(b"ProductOffering", b"\\u0050roductOffering")),
    "lone surrogate": with_contents(lambda raw: raw.replace(b'"time":"', b'"time":"\xed\xa0\x80')),
    "version as a float": with_contents(lambda raw: raw.replace(b'"version":1', b'"version":1.0')),
    "version beyond": with_contents(lambda raw: raw.replace(b'"version":', b'"version":9007199254740992')),
    "empty metadata": with_contents(lambda raw: raw.replace(b'"time"', b'"metadata":{},"time"')),
    "nonce in capitals": with_contents(
        lambda raw: raw.replace(b'"time"', b'"nonce":"%b","time"' % (b"A" * 32))
    ),
    "issuer in an event": with_contents(lambda raw: raw.replace(b'"time"', b'"issuer":"did:x:y","time"')),
    "audience": with_contents(lambda raw: raw.replace(b"{", b'{"audience":["x"],', 1)),
}


def main() -> int:
    """Record the corpus."""
    recorded, path = Recorder(seed=15, is_ledger=False).record(), CORPUS
    write_corpus(recorded, path)
    sys.stdout.write(f"{recorded.count} transactions recorded in {path.name}.\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
