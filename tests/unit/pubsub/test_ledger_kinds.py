"""A further kind of transaction is one value: everything but that value knows kinds by their registry alone.

The kind here, `endpoint`, moves a member to another endpoint. Its statement is signed by that member, and
names the endpoint before, so that it takes effect once.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import structlog

from hansa.core.clock import ManualClock
from hansa.core.closed_json import FreeText, Record
from hansa.core.errors import Code, Refused
from hansa.core.jws import CompactJws, read_compact, token_header
from hansa.core.members import normal_endpoint
from hansa.pubsub.ledger.application import LedgerApplication
from hansa.pubsub.ledger.genesis import AppState, LedgerParams
from hansa.pubsub.ledger.messages import PACKAGE, Request, message_class
from hansa.pubsub.ledger.methods import AbciMethods
from hansa.pubsub.ledger.results import FORM, Rule
from hansa.pubsub.ledger.rules import RULES
from hansa.pubsub.ledger.rules.kind import CheckContext, Kind, Sender
from hansa.pubsub.ledger.rules.rulesets import ALL_KINDS, NEWEST, RULESETS
from hansa.pubsub.ledger.sqlite_state import MEMORY, SqliteState
from hansa.pubsub.ledger.state import Overlay, StateView
from hansa.pubsub.ledger.state_machine import Block
from hansa.pubsub.ledger.transactions import TransactionReader
from hansa.pubsub.memory import MemoryLedger
from tests.contract.origins import Origin

TIME_MS: Final = 1_767_225_600_000
MOVED: Final = "https://moved.example"

# -- a kind ------------------------------------------------------------------------------------------------

HEADER: Final = token_header("statement+jwt")
STATEMENT_FORM: Final = Record({"after": FreeText(256), "before": FreeText(256), "did": FreeText(256)})

STATEMENT: Final = Rule(90, Code.TRANSACTION_MALFORMED, "the statement cannot be read")
SIGNER: Final = Rule(91, Code.FORBIDDEN, "the statement is not signed by the member")
BEFORE: Final = Rule(92, Code.CONFLICT, "the member is at another endpoint than the statement says")


class EndpointTransaction(msgspec.Struct, frozen=True):
    """A member's move to another endpoint."""

    statement: str


class Statement(msgspec.Struct, frozen=True):
    """What the member signs."""

    did: str
    before: str
    after: str


class SignedStatement:
    """A statement as it was submitted."""

    parts: CompactJws

    def __init__(self, jws: str) -> None:
        try:
            self.parts = read_compact(jws, HEADER)
            self.content = Statement(**STATEMENT_FORM.read(self.parts.payload))
            normal_endpoint(self.content.after)
        except Refused as error:
            raise STATEMENT.broken(error.message) from error
        self.jws = jws


def admit(state: StateView, raw: bytes) -> Sender:
    del state
    return Sender(hashlib.sha256(raw).hexdigest())


def check_form(transaction: EndpointTransaction, params: LedgerParams) -> None:
    if len(transaction.statement) > params.event_size_max_bytes:
        raise STATEMENT.broken("The statement is too long.")


def decode(transaction: EndpointTransaction) -> tuple[SignedStatement]:
    return (SignedStatement(transaction.statement),)


def check(state: StateView, signed: SignedStatement, context: CheckContext) -> None:
    member = state.member(signed.content.did)
    jwk = member.key(signed.parts.kid) if member is not None else None
    if member is None or jwk is None:
        raise SIGNER.broken("Nobody has that key.")
    try:
        context.signatures.verify(signed.jws, signed.parts, jwk)
    except Refused as error:
        raise SIGNER.broken(error.message) from error
    if member.endpoint != signed.content.before:
        raise BEFORE.broken(f"{member.did} is at {member.endpoint}.")


def apply(state: Overlay, signed: SignedStatement) -> None:
    member = state.member(signed.content.did)
    assert member is not None
    state.put_member(msgspec.structs.replace(member, endpoint=signed.content.after))


ENDPOINT: Final = Kind(
    name="endpoint",
    form=Record({"statement": FreeText(4096)}),
    fields=EndpointTransaction,
    rules=(STATEMENT, SIGNER, BEFORE),
    admit=admit,
    check_form=check_form,
    decode=decode,
    check=check,
    apply=apply,
)


WITH_ENDPOINT: Final = {
    **RULESETS,
    NEWEST.name: msgspec.structs.replace(NEWEST, kinds=(*NEWEST.kinds, ENDPOINT)),
}


def move(origin: Origin, before: str, after: str, signer: Origin | None = None) -> bytes:
    """The transaction that moves a member."""
    statement = STATEMENT_FORM.write({"did": origin.did, "before": before, "after": after})
    return ENDPOINT.write(statement=(signer or origin).key.sign(statement, HEADER, typ="statement+jwt"))


# -- what the ledger makes of it ---------------------------------------------------------------------------


class Ledger:
    """An application that knows the kind."""

    def __init__(self, path: Path | str = MEMORY) -> None:
        self.lubeck, self.bergen = Origin("lubeck"), Origin("bergen", "Ed25519")
        self.genesis = AppState((self.lubeck.member, self.bergen.member))
        self.application = LedgerApplication(SqliteState(path), WITH_ENDPOINT)
        self.application.init_chain(msgspec.json.encode(self.genesis), TIME_MS)

    def move(self, after: str = MOVED) -> bytes:
        return move(self.lubeck, self.lubeck.endpoint, after)

    def commit(self, *transactions: bytes) -> list[Code | None]:
        height = self.application.state.head.height + 1
        effects = self.application.finalize_block(Block(height, TIME_MS + height, transactions))
        self.application.commit()
        return [None if refusal is None else refusal.code for refusal in effects.refusals]

    @property
    def endpoint(self) -> str:
        member = self.application.state.member(self.lubeck.did)
        assert member is not None
        return member.endpoint


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def test_a_change_of_a_member_takes_effect_and_is_committed_to(ledger: Ledger) -> None:
    before = ledger.application.state.head
    assert ledger.commit(ledger.move()) == [None]
    assert ledger.endpoint == MOVED
    head = ledger.application.state.head
    assert head.app_hash != before.app_hash
    assert head.tree == before.tree


def test_later_transactions_of_a_block_see_the_change(ledger: Ledger) -> None:
    first, second = ledger.move(), move(ledger.lubeck, MOVED, "https://third.example")
    prepared = ledger.application.prepare_proposal([second, first, second], TIME_MS, 100_000)
    assert prepared == [first, second]
    assert ledger.application.process_proposal(Block(1, TIME_MS, (first, second))) is None
    rejection = ledger.application.process_proposal(Block(1, TIME_MS, (second, first)))
    assert rejection is not None
    assert rejection.code is Code.CONFLICT
    assert ledger.commit(second, first, second) == [Code.CONFLICT, None, None]


def test_what_breaks_a_rule_of_the_kind_changes_nothing(ledger: Ledger) -> None:
    forged = move(ledger.lubeck, ledger.lubeck.endpoint, MOVED, signer=ledger.bergen)
    elsewhere = move(ledger.lubeck, MOVED, "https://third.example")
    unreadable = ENDPOINT.write(statement="x")
    before = ledger.application.state.head
    assert ledger.commit(forged, elsewhere, unreadable) == [
        Code.FORBIDDEN,
        Code.CONFLICT,
        Code.TRANSACTION_MALFORMED,
    ]
    assert ledger.application.state.head.app_hash == before.app_hash
    assert ledger.endpoint == ledger.lubeck.endpoint


def test_a_statement_takes_effect_once(ledger: Ledger) -> None:
    statement = ledger.move()
    assert ledger.commit(statement, statement) == [None, Code.CONFLICT]
    with pytest.raises(Refused) as refused:
        ledger.application.check_tx(statement, TIME_MS)
    assert refused.value.code is Code.CONFLICT


def test_a_changed_member_is_there_after_a_restart(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "state.db")
    ledger.commit(ledger.move())
    head = ledger.application.state.head
    ledger.application.state.close()
    state = SqliteState(tmp_path / "state.db")
    assert (state.head, [member.endpoint for member in state.members if member.did == ledger.lubeck.did]) == (
        head,
        [MOVED],
    )
    state.close()


def test_the_engine_gets_the_number_of_the_rule(ledger: Ledger) -> None:
    methods = AbciMethods(ledger.application, ManualClock(), structlog.get_logger())

    def check_tx(raw: bytes) -> Any:
        request = message_class(f"{PACKAGE}.RequestCheckTx")(tx=raw)
        return methods.answer(Request(check_tx=request)).check_tx

    assert check_tx(ledger.move()).code == 0
    forged = move(ledger.lubeck, ledger.lubeck.endpoint, MOVED, signer=ledger.bergen)
    assert check_tx(forged).code == SIGNER.number


async def test_on_the_bus_members_move_and_go_on_publishing() -> None:
    lubeck = Origin("lubeck")
    ledger = MemoryLedger([lubeck.member], ManualClock(), rulesets=WITH_ENDPOINT)
    bus = ledger.bus()
    await bus.publish([lubeck.event("before")], lubeck.signer)
    ledger.submit(move(lubeck, lubeck.endpoint, MOVED))
    assert [member.endpoint for member in await bus.members()] == [MOVED]
    assert await bus.publish([lubeck.event("after")], lubeck.signer) == (2,)
    ledger.close()


def test_a_kind_that_is_not_registered_is_no_transaction() -> None:
    lubeck = Origin("lubeck")
    ledger = LedgerApplication(SqliteState(MEMORY))
    ledger.init_chain(msgspec.json.encode(AppState((lubeck.member,))), TIME_MS)
    with pytest.raises(Refused) as refused:
        TransactionReader().read(move(lubeck, lubeck.endpoint, MOVED), ledger.state)
    assert getattr(refused.value, "rule", None) is FORM


# -- the registry ------------------------------------------------------------------------------------------


def test_names_and_numbers_of_kinds_and_rules_are_their_own() -> None:
    names = [kind.name for kind in ALL_KINDS]
    assert len(set(names)) == len(names)
    assert len({rule.number for rule in RULES}) == len(RULES)


def test_the_number_of_a_rule_never_changes() -> None:
    """The hash of a block's results is part of the next block."""
    assert {rule.number: rule.code.value for rule in RULES if rule.number < 10} == {
        1: "event-malformed",
        2: "event-too-large",
        3: "event-issuer-unknown",
        4: "event-signature-invalid",
        5: "event-duplicate",
        7: "event-version-broken",
        8: "transaction-malformed",
        9: "transaction-too-large",
    }
