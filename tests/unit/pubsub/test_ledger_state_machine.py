"""The rules of the ledger, without any server."""

from __future__ import annotations

import base64
import itertools
import json
import random
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa.core.errors import Code, Fatal, Refused
from hansa.core.events import EntityVersion, encode_event
from hansa.core.jws import token_header
from hansa.core.merkle import leaf_hash, root
from hansa.pubsub.ledger.application import LedgerApplication
from hansa.pubsub.ledger.genesis import AppState, LedgerParams
from hansa.pubsub.ledger.results import FAULT, TRANSACTION_RULES, RuleBroken
from hansa.pubsub.ledger.rules import NUMBERED_CODES, RULES
from hansa.pubsub.ledger.rules.events import EVENTS, encode_events
from hansa.pubsub.ledger.sqlite_state import MEMORY, SqliteState
from hansa.pubsub.ledger.state import Overlay, members_root
from hansa.pubsub.ledger.state_machine import Block, finalize_block
from hansa.pubsub.ledger.transactions import LedgerTransaction, TransactionReader
from tests.contract.origins import Origin

TIME_MS = 1_767_225_600_000
PARAMS = LedgerParams(
    event_size_max_bytes=2048, events_per_transaction_max=5, transaction_size_max_bytes=8192
)


class Ledger:
    """An application with two active members, and blocks for it."""

    def __init__(self, path: Path | str = MEMORY) -> None:
        self.lubeck, self.bergen = Origin("lubeck"), Origin("bergen", "Ed25519")
        self.riga = Origin("riga", status="suspended")
        self.genesis = AppState((self.lubeck.member, self.bergen.member, self.riga.member), PARAMS)
        self.application = LedgerApplication(SqliteState(path))
        self.application.init_chain(msgspec.json.encode(self.genesis), TIME_MS)

    @property
    def state(self) -> SqliteState:
        return self.application.state

    def block(self, *transactions: bytes) -> Block:
        height = self.state.head.height + 1
        return Block(height, TIME_MS + 1000 * height, transactions)

    def commit(self, *transactions: bytes) -> list[Code | None]:
        effects = self.application.finalize_block(self.block(*transactions))
        self.application.commit()
        return [None if refusal is None else refusal.code for refusal in effects.refusals]


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def transaction(*events: str) -> bytes:
    return encode_events(events)


def with_header(jws: str, **header: object) -> str:
    _, payload, signature = jws.split(".")
    fields = {"cty": "application/json", "iat": 1_767_225_600, "typ": "jose"} | header
    raw = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    encoded = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    return f"{encoded}.{payload}.{signature}"


def first_event_id(ledger: Ledger) -> str:
    event = ledger.lubeck.describe("first")
    ledger.commit(transaction(ledger.lubeck.event("first", id=event.id)))
    return event.id


def replay(ledger: Ledger) -> bytes:
    raw = transaction(ledger.lubeck.event("replayed"))
    ledger.commit(raw)
    return raw


def gap(ledger: Ledger, version: int) -> str:
    link = ledger.lubeck.describe("gap").hashlink
    entity = EntityVersion(ledger.lubeck.key_of("gap"), "ProductOffering", version)
    return ledger.lubeck.event("gap", entity=entity, previous=link)


def second_first_version(ledger: Ledger) -> str:
    again = ledger.lubeck.describe("twice")
    ledger.commit(transaction(ledger.lubeck.event("twice")))
    return ledger.lubeck.sign(again)


def fork(ledger: Ledger) -> str:
    ledger.commit(transaction(ledger.lubeck.event("forked")))
    other = ledger.lubeck.describe("other").hashlink
    return ledger.lubeck.sign(ledger.lubeck.describe("forked", "AttributeValueChange", previous=other))


def deletion_of_another_version(ledger: Ledger) -> str:
    ledger.commit(transaction(ledger.lubeck.event("deleted")))
    other = ledger.lubeck.describe("other").hashlink
    location = ledger.lubeck.location(ledger.lubeck.key_of("deleted"), other)
    return ledger.lubeck.event("deleted", "Delete", location=location)


# -- what is refused, in all four places ------------------------------------------------------------------------

REFUSALS: dict[str, tuple[Code, Callable[[Ledger], bytes]]] = {
    "a forged signature": (
        Code.EVENT_SIGNATURE_INVALID,
        lambda ledger: transaction(Origin("lubeck").sign(ledger.lubeck.describe("new"))),
    ),
    "a signature of another member's key": (
        Code.EVENT_SIGNATURE_INVALID,
        lambda ledger: transaction(ledger.bergen.sign(ledger.lubeck.describe("new"))),
    ),
    "a header with another algorithm": (
        Code.EVENT_SIGNATURE_INVALID,
        lambda ledger: transaction(
            with_header(ledger.lubeck.event("new"), alg="Ed25519", kid=ledger.lubeck.key.kid)[:-86] + "A" * 86
        ),
    ),
    "a header without algorithm": (
        Code.EVENT_MALFORMED,
        lambda ledger: transaction(
            with_header(ledger.lubeck.event("new"), alg="none", kid=ledger.lubeck.key.kid)
        ),
    ),
    "a signature made for another purpose": (
        Code.EVENT_MALFORMED,
        lambda ledger: transaction(
            ledger.lubeck.key.sign(encode_event(ledger.lubeck.describe("n")), token_header("JWT"), typ="JWT")
        ),
    ),
    "an unknown issuer": (
        Code.EVENT_ISSUER_UNKNOWN,
        lambda _: transaction(Origin("stranger").event("new")),
    ),
    "a suspended issuer": (
        Code.EVENT_ISSUER_UNKNOWN,
        lambda ledger: transaction(ledger.riga.event("new")),
    ),
    "a location at another member": (
        Code.EVENT_LOCATION_FOREIGN,
        lambda ledger: transaction(
            ledger.lubeck.event("new", location=ledger.bergen.describe("new").location)
        ),
    ),
    "a location at a look-alike host": (
        Code.EVENT_LOCATION_FOREIGN,
        lambda ledger: transaction(
            ledger.lubeck.event(
                "new", location=ledger.lubeck.describe("new").location.replace(".example/", ".example.evil/")
            )
        ),
    ),
    "a location of another entity": (
        Code.EVENT_LOCATION_FOREIGN,
        lambda ledger: transaction(
            ledger.lubeck.event("new", location=ledger.lubeck.describe("other").location)
        ),
    ),
    "an event id that was used": (
        Code.EVENT_DUPLICATE,
        lambda ledger: transaction(ledger.lubeck.event("new", id=first_event_id(ledger))),
    ),
    "a replayed event": (Code.EVENT_DUPLICATE, replay),
    "the same event twice in a batch": (
        Code.EVENT_DUPLICATE,
        lambda ledger: transaction(*[ledger.lubeck.event("new")] * 2),
    ),
    "a version too many": (
        Code.EVENT_VERSION_BROKEN,
        lambda ledger: transaction(gap(ledger, 5)),
    ),
    "a second first version": (
        Code.EVENT_VERSION_BROKEN,
        lambda ledger: transaction(second_first_version(ledger)),
    ),
    "a version with another predecessor": (
        Code.EVENT_VERSION_BROKEN,
        lambda ledger: transaction(fork(ledger)),
    ),
    "a deletion that names another version": (
        Code.EVENT_VERSION_BROKEN,
        lambda ledger: transaction(deletion_of_another_version(ledger)),
    ),
    "two issuers": (
        Code.TRANSACTION_MALFORMED,
        lambda ledger: transaction(ledger.lubeck.event("a"), ledger.bergen.event("b")),
    ),
    "no events": (Code.TRANSACTION_MALFORMED, lambda _: b'{"kind":"events","events":[]}'),
    "too many events": (Code.TRANSACTION_TOO_LARGE, lambda _: transaction(*"abcdef")),
    "ten megabytes": (Code.TRANSACTION_TOO_LARGE, lambda _: b"x" * 10_000_000),
    "an event over the limit": (Code.EVENT_TOO_LARGE, lambda _: transaction("x" * 2049)),
    "an event that is no signature": (Code.EVENT_MALFORMED, lambda _: transaction("abc")),
    "foreign characters in a signature": (
        Code.EVENT_MALFORMED,
        lambda ledger: transaction(ledger.lubeck.event("new") + " "),
    ),
    "no JSON": (Code.TRANSACTION_MALFORMED, lambda _: b"\x00\xff"),
    "another kind": (Code.TRANSACTION_MALFORMED, lambda _: b'{"kind":"member","events":[]}'),
    "an unknown field": (Code.TRANSACTION_MALFORMED, lambda _: b'{"kind":"events","events":[],"x":1}'),
    "deep nesting": (Code.TRANSACTION_MALFORMED, lambda _: b"[" * 8000),
    "spaces": (
        Code.TRANSACTION_MALFORMED,
        lambda ledger: transaction(ledger.lubeck.event("new")).replace(b":", b": ", 1),
    ),
    "a field twice": (
        Code.TRANSACTION_MALFORMED,
        lambda ledger: b'{"kind":"events",' + transaction(ledger.lubeck.event("new"))[1:],
    ),
}


@pytest.mark.parametrize(("code", "make"), REFUSALS.values(), ids=REFUSALS)
def test_what_breaks_a_rule_is_refused_everywhere(
    ledger: Ledger, code: Code, make: Callable[[Ledger], bytes]
) -> None:
    bad, before = make(ledger), ledger.state.head
    good = transaction(ledger.bergen.event("good"))
    for is_recheck in (False, True):
        with pytest.raises(Refused) as refused:
            ledger.application.check_tx(bad, is_recheck=is_recheck)
        assert refused.value.code is code
    assert ledger.application.prepare_proposal([bad, good], 400_000) == [good]
    rejection = ledger.application.process_proposal([good, bad])
    assert rejection is not None
    assert rejection.code is code
    assert ledger.application.process_proposal([good]) is None
    assert ledger.state.head == before
    assert ledger.commit(bad, good) == [code, None]
    assert ledger.state.head.position == before.position + 1


def test_every_rule_is_broken_by_one_of_these() -> None:
    broken = set()
    for _, make in REFUSALS.values():
        ledger = Ledger()
        with pytest.raises(RuleBroken) as refused:
            ledger.application.check_tx(make(ledger), is_recheck=True)
        broken.add(refused.value.rule)
    assert broken == {*TRANSACTION_RULES, *EVENTS.rules} - {FAULT}


@pytest.mark.parametrize("error", [RecursionError(), MemoryError(), ValueError("deep"), AssertionError()])
def test_a_fault_of_the_software_refuses_the_transaction_and_ends_only_the_execution(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    bad, good = transaction(ledger.lubeck.event("bad")), transaction(ledger.bergen.event("good"))
    read = TransactionReader.read

    def failing(self: TransactionReader, raw: bytes) -> LedgerTransaction:
        if raw == bad:
            raise error
        return read(self, raw)

    monkeypatch.setattr(TransactionReader, "read", failing)
    with pytest.raises(RuleBroken) as refused:
        ledger.application.check_tx(bad, is_recheck=False)
    assert refused.value.rule is FAULT
    assert ledger.application.prepare_proposal([bad, good], 100_000) == [good]
    rejection = ledger.application.process_proposal([good, bad])
    assert isinstance(rejection, RuleBroken)
    assert rejection.rule is FAULT
    with pytest.raises(type(error)):
        ledger.application.finalize_block(ledger.block(good, bad))


def test_every_rule_has_a_number_of_its_own() -> None:
    assert {code for code, _ in REFUSALS.values()} <= set(NUMBERED_CODES.values())
    assert len({rule.number for rule in RULES}) == len(RULES)
    assert 0 not in NUMBERED_CODES


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_bytes_from_strangers_are_refused_and_never_crash(raw: bytes) -> None:
    with pytest.raises(Refused) as refused:
        TransactionReader(PARAMS).read(raw)
    assert refused.value.code in NUMBERED_CODES.values()


@settings(max_examples=200)
@given(st.lists(st.text(max_size=60), max_size=6))
def test_texts_from_strangers_are_refused_and_never_crash(events: list[str]) -> None:
    with pytest.raises(Refused) as refused:
        TransactionReader(PARAMS).read(msgspec.json.encode({"kind": "events", "events": events}))
    assert refused.value.code in NUMBERED_CODES.values()


COMPACT_JWS = st.from_regex(r"[A-Za-z0-9_-]{1,20}\.[A-Za-z0-9_-]{1,20}\.[A-Za-z0-9_-]{86}", fullmatch=True)


@given(st.lists(COMPACT_JWS, min_size=1, max_size=PARAMS.events_per_transaction_max), st.integers(0, 255))
def test_a_transaction_is_read_as_it_was_written(events: list[str], attempt: int) -> None:
    kind, fields = TransactionReader(PARAMS).read_form(encode_events(events, attempt))
    assert kind is EVENTS
    assert (list(fields.events), fields.attempt) == (events, attempt)


# -- chains and claims ------------------------------------------------------------------------------------------


def test_versions_follow_one_another_within_a_block_and_a_batch(ledger: Ledger) -> None:
    origin = ledger.lubeck
    batch = transaction(origin.event("e"), origin.event("e", "StateChange"))
    after = transaction(origin.event("e", "Delete"))
    assert ledger.commit(batch, after) == [None, None]
    claim = ledger.state.claim(origin.did, origin.key_of("e"))
    assert claim is not None
    assert (claim.version, claim.is_deleted, claim.first_position, claim.last_position) == (3, True, 1, 3)


def test_a_batch_is_applied_as_a_whole_or_not_at_all(ledger: Ledger) -> None:
    good = ledger.lubeck.event("good")
    assert ledger.commit(transaction(good, gap(ledger, 3))) == [Code.EVENT_VERSION_BROKEN]
    assert ledger.state.claim(ledger.lubeck.did, ledger.lubeck.key_of("good")) is None
    assert ledger.commit(transaction(good)) == [None]


def test_a_re_creation_continues_the_chain_of_what_was_deleted(ledger: Ledger) -> None:
    origin = ledger.lubeck
    for change in ("Create", "Delete", "Create", "Delete"):
        assert ledger.commit(transaction(origin.event("e", change))) == [None]
    claim = ledger.state.claim(origin.did, origin.key_of("e"))
    assert claim is not None
    assert (claim.version, claim.is_deleted) == (4, True)


def test_a_version_may_wait_one_ahead_but_not_when_it_is_checked_again(ledger: Ledger) -> None:
    first = transaction(ledger.lubeck.event("e"))
    second = transaction(ledger.lubeck.event("e", "StateChange"))
    third = transaction(ledger.lubeck.event("e", "StateChange"))
    assert ledger.application.check_tx(second, is_recheck=False) is False
    with pytest.raises(Refused):
        ledger.application.check_tx(second, is_recheck=True)
    with pytest.raises(Refused):
        ledger.application.check_tx(third, is_recheck=False)
    assert ledger.application.prepare_proposal([second, first], 400_000) == [first]
    assert ledger.application.prepare_proposal([first, second, third], 400_000) == [first, second, third]
    ledger.commit(first)
    assert ledger.application.check_tx(second, is_recheck=True) is True


def test_a_proposal_keeps_within_its_size(ledger: Ledger) -> None:
    candidates = [transaction(ledger.lubeck.event(f"e{n}")) for n in range(5)]
    size = sum(len(raw) + 3 for raw in candidates[:3])
    assert ledger.application.prepare_proposal(candidates, size) == candidates[:3]
    assert ledger.application.prepare_proposal(candidates, size - 1) == candidates[:2]
    assert ledger.application.prepare_proposal(candidates, 0) == []


def test_a_block_that_is_not_the_next_is_fatal(ledger: Ledger) -> None:
    ledger.commit()
    for height in (1, 3):
        with pytest.raises(Fatal) as fatal:
            ledger.application.finalize_block(Block(height, TIME_MS, ()))
        assert fatal.value.code is Code.STORE_DAMAGED


# -- the application hash ---------------------------------------------------------------------------------------


def test_the_app_hash_commits_to_events_and_members(ledger: Ledger) -> None:
    events = [ledger.lubeck.event(f"e{n}") for n in range(4)]
    ledger.commit(transaction(*events))
    expected = root(
        [
            leaf_hash(b"events" + root([leaf_hash(jws.encode()) for jws in events])),
            leaf_hash(b"members" + members_root(ledger.genesis.members)),
        ]
    )
    assert ledger.state.head.app_hash == expected


def test_empty_and_refused_blocks_leave_the_app_hash_alone(ledger: Ledger) -> None:
    ledger.commit(transaction(ledger.lubeck.event("e")))
    before = ledger.state.head.app_hash
    ledger.commit()
    ledger.commit(b"nonsense")
    assert ledger.state.head.app_hash == before


def test_the_order_of_the_members_in_the_genesis_document_does_not_matter() -> None:
    members = [Origin(name).member for name in ("lubeck", "bergen", "riga")]
    roots = {members_root(list(order)) for order in itertools.permutations(members)}
    assert len(roots) == 1
    renamed = [msgspec.structs.replace(members[0], name="other"), *members[1:]]
    assert members_root(renamed) not in roots


def blocks_of(ledger: Ledger, seed: int) -> list[tuple[bytes, ...]]:
    """Blocks with valid and invalid transactions of two members."""
    draw = random.Random(seed)
    seen: list[bytes] = [b"nonsense"]
    blocks = []
    for _ in range(draw.randint(1, 6)):
        block: list[bytes] = []
        for _ in range(draw.randint(0, 4)):
            origin = draw.choice([ledger.lubeck, ledger.bergen])
            kind = draw.random()
            if kind < 0.2:
                raw = draw.choice(seen)
            elif kind < 0.3:
                raw = transaction(Origin("forger").sign(origin.describe("e0")))
            else:
                names = draw.sample(range(6), draw.randint(1, 3))
                raw = transaction(*(origin.event(f"e{n}", draw_change(draw, origin, n)) for n in names))
            seen.append(raw)
            block.append(raw)
        blocks.append(tuple(block))
    return blocks


def draw_change(draw: random.Random, origin: Origin, number: int) -> str:
    if origin.describe(f"e{number}").entity.version == 1:
        return "Create"
    return draw.choice(["StateChange", "AttributeValueChange", "Delete"])


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32))
def test_the_same_blocks_give_the_same_hashes_also_with_a_restart_at_every_block(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    ledger = Ledger()
    blocks = blocks_of(ledger, seed)
    hashes, refusals = [], []
    for transactions in blocks:
        refusals.append(ledger.commit(*transactions))
        hashes.append(ledger.state.head.app_hash)
    path = tmp_path_factory.mktemp("ledger") / "state.db"
    for number, transactions in enumerate(blocks):
        application = LedgerApplication(SqliteState(path))
        if number == 0:
            application.init_chain(msgspec.json.encode(ledger.genesis), TIME_MS)
        else:
            assert application.state.head.app_hash == hashes[number - 1]
        block = Block(number + 1, TIME_MS + 1000 * (number + 1), transactions)
        once, effects = application.finalize_block(block), application.finalize_block(block)
        assert (once.head, once.events, once.claims) == (effects.head, effects.events, effects.claims)
        application.commit()
        assert [refusal and refusal.code for refusal in effects.refusals] == refusals[number]
        assert application.state.head.app_hash == hashes[number]
        application.state.close()


@settings(max_examples=15)
@given(st.integers(0, 2**32))
def test_what_an_honest_proposer_selects_is_accepted_and_takes_effect_as_a_whole(seed: int) -> None:
    ledger = Ledger()
    for transactions in blocks_of(ledger, seed):
        selected = ledger.application.prepare_proposal(transactions, 400_000)
        assert ledger.application.process_proposal(selected) is None
        assert ledger.commit(*selected) == [None] * len(selected)


def test_what_is_remembered_changes_no_result(ledger: Ledger) -> None:
    blocks = blocks_of(ledger, 7)
    remembering = TransactionReader(PARAMS)
    for transactions in blocks:
        block = ledger.block(*transactions)
        with_memory = finalize_block(ledger.state, block, remembering)
        without = finalize_block(ledger.state, block, TransactionReader(PARAMS, steps_cached_max=0))
        assert with_memory.head == without.head
        ledger.commit(*transactions)


def test_a_remembered_verification_counts_only_for_the_same_key(ledger: Ledger) -> None:
    """A member that changes its key under the same name has its old signatures refused."""
    reader = TransactionReader(PARAMS)
    (signed,) = reader.read(transaction(ledger.lubeck.event("e"))).steps
    signed.verify(ledger.lubeck.key.public, reader.strict.keys)
    impostor = msgspec.structs.replace(Origin("x").key.public, kid=ledger.lubeck.key.kid)
    with pytest.raises(Refused):
        signed.verify(impostor, reader.strict.keys)


def test_an_overlay_leaves_the_state_below_as_it_is(ledger: Ledger) -> None:
    reader = TransactionReader(PARAMS)
    (signed,) = reader.read(transaction(ledger.lubeck.event("e"))).steps
    below = Overlay(ledger.state)
    upper = Overlay(below)
    upper.append_event(signed.jws, signed.event)
    assert (below.events, below.head) == ((), ledger.state.head)
    below.absorb(upper)
    assert below.events == upper.events
    assert ledger.state.head.position == 0
