"""A league in memory whose validators sign every state: what receipts are made of, without an engine."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from hansa.core.batches import BatchSigner
from hansa.core.clock import ManualClock
from hansa.core.governance.possession import prove_possession
from hansa.core.governance.signer import GovernanceSigner
from hansa.core.governance.statements import KeyRotate, MemberAction
from hansa.core.keys import SigningKey
from hansa.core.members import Member
from hansa.pubsub.engine import GenesisValidator, genesis_document
from hansa.pubsub.ledger.application import LedgerApplication
from hansa.pubsub.ledger.commitments.app_hash import NEWEST_RULESET, RULESET_3
from hansa.pubsub.ledger.genesis import PARAMETERS, AppState, LedgerParams
from hansa.pubsub.ledger.reading import LedgerReader
from hansa.pubsub.ledger.rules.governance.senders import league_of
from hansa.pubsub.ledger.rules.statement import encode_statement
from hansa.pubsub.ledger.sqlite_state import MEMORY, SqliteState
from hansa.pubsub.light.captured import CapturedBlocks
from hansa.pubsub.light.capturing import Capture
from hansa.pubsub.light.genesis import read_trusted_genesis
from hansa.pubsub.light.making import ReceiptMaker
from hansa.pubsub.memory import MemoryLedger
from tests.contract.origins import NOW, Origin
from tests.support.light_chain import CHAIN_ID, Signer, light_block
from tests.support.light_engine import LightEngine


class ProvedLeague:
    """Two origins, a ledger, and validators who sign one block more than it has."""

    def __init__(
        self,
        signers: Sequence[Signer] | None = None,
        chain_id: str = CHAIN_ID,
        observers: Sequence[Origin] = (),
        ruleset: str = NEWEST_RULESET,
    ) -> None:
        self.signers = list(signers or [Signer(f"v{number}") for number in range(4)])
        self.chain_id = chain_id
        self.lubeck, self.bergen = Origin("lubeck"), Origin("bergen", "Ed25519")
        further = [msgspec.structs.replace(one.member, power=0, validator_key="") for one in observers]
        members = (self.lubeck.member, self.bergen.member, *further)
        params = LedgerParams()
        self.clock = ManualClock(NOW)
        self.ledger = MemoryLedger(members, self.clock, params=params)
        if ruleset == RULESET_3:
            self._found_under_3(members)
        self._statements = 0
        self.genesis = genesis_document(
            chain_id,
            NOW - timedelta(days=3000),
            [
                GenesisValidator(str(at), one.validator.public_key, one.validator.power)
                for at, one in enumerate(self.signers)
            ],
            msgspec.to_builtins(AppState(members, params)),
        )
        self.trusted, self.keys = read_trusted_genesis(self.genesis)
        by_address = {one.validator.address: one for one in self.signers}
        self.signers = [by_address[one.address] for one in self.trusted.validators.validators]
        self.engine = LightEngine([])
        self.bus = self.ledger.bus()
        self.capture = Capture(self.engine, CapturedBlocks(":memory:"), ManualClock(NOW), 100_000)
        self.maker = ReceiptMaker(self.bus, self.capture, self.trusted)
        self._sign()

    def _found_under_3(self, members: Sequence[Member]) -> None:
        """A ledger under rules that let no member change, in place of the one that was founded."""
        application = LedgerApplication(SqliteState(MEMORY))
        document = msgspec.to_builtins(AppState(tuple(members), ruleset=RULESET_3))
        document["params"] = msgspec.json.decode(PARAMETERS.write(LedgerParams()))
        application.init_chain(msgspec.json.encode(document), int(1000 * NOW.timestamp()))
        self.ledger.close()
        self.ledger.application = application
        self.ledger.reader = LedgerReader(application.state.connection)

    def commit(self, origin: Origin, *contents: bytes, next_signers: Sequence[Signer] | None = None) -> None:
        """One batch in one block, and the block that signs the state."""
        self.ledger.submit(origin.batch(*contents))
        self._sign(next_signers)

    def skip(self, heights: int, next_signers: Sequence[Signer] | None = None) -> None:
        """Blocks without transactions."""
        for _ in range(heights):
            head = self.ledger.application.state.head
            from hansa.pubsub.ledger.state_machine import Block

            self.ledger.application.finalize_block(Block(head.height + 1, head.time_ms + 1, ()))
            self.ledger.application.commit()
            self._sign(next_signers)

    def state(self, origin: Origin, action: MemberAction, key: SigningKey | None = None) -> None:
        """A statement of a member in one block, and the block that signs the state."""
        self._statements += 1
        signer = GovernanceSigner(key or origin.key, origin.did, self.league_id, self.clock)
        self.ledger.submit(encode_statement(signer.state(action, seq=self._statements)))
        self._sign()

    def rotate(self, origin: Origin, overlap_s: int = 0) -> SigningKey:
        """Replace the key of a member; the key that it had."""
        old, new = origin.key, SigningKey.generate("Ed25519")
        at_s = int(self.clock.now().timestamp())
        proof = prove_possession(new, origin.did, self.league_id, "signing", at_s)
        self.state(origin, KeyRotate(proof, overlap_s, old.kid))
        origin.key, origin.signer = new, BatchSigner(new, origin.did, self.clock)
        return old

    @property
    def league_id(self) -> str:
        """For which statements are meant."""
        return league_of(self.ledger.application.state)

    def _sign(self, next_signers: Sequence[Signer] | None = None) -> None:
        head = self.ledger.application.state.head
        height = head.height + 1
        following = list(next_signers or self.signers)
        self.engine.blocks[height] = light_block(
            height, self.signers, next_validators=following, chain_id=self.chain_id, app_hash=head.app_hash
        )
        self.signers = following
