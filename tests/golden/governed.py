"""Records the ledger of a league with governance: `python -m tests.golden.governed`.

A league of five under `hansa-ledger/4`: events, and transactions of every kind with every kind of change and
of statement, valid and refused, evidence, and what happens by itself. What is recorded is replayed by
`tests.golden.corpus`.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from hansa.core.batches import BatchSigner
from hansa.core.certificates import read_certificate
from hansa.core.clock import ManualClock
from hansa.core.governance.changes import (
    MemberPut,
    MemberStatusChange,
    ParamSet,
    PlanUpgrade,
    Suspension,
    ValidatorPower,
)
from hansa.core.governance.forms import LeagueChange
from hansa.core.governance.proposals import proposal_hash
from hansa.core.governance.statements import (
    EndpointSet,
    KeyRevoke,
    KeyRotate,
    Leave,
    NodesSet,
    UpgradeReady,
)
from hansa.core.keys import SigningKey
from hansa.core.trust.certificates import certificate_text
from hansa.core.trust.changes import AnchorPut, AnchorRemove, IssuerPut, IssuerRemove, PolicySet
from hansa.core.trust.issuers import CredentialGrant, TrustedIssuer
from hansa.core.trust.policies import PolicyRow
from hansa.pubsub.ledger.commitments.stored import validator_address
from hansa.pubsub.ledger.genesis import AppState, LedgerParams
from hansa.pubsub.ledger.results import RuleBroken
from hansa.pubsub.ledger.rules.propose import encode_proposal
from hansa.pubsub.ledger.state import BlockEffects
from hansa.pubsub.ledger_records import Misbehavior
from tests.contract.origins import Origin
from tests.golden.corpus import LEDGERS, Corpus, Genesis, RecordedBlock, RecordedTransaction, write_corpus
from tests.support.certificates import authority
from tests.support.governed import PARAMS, TIME_MS, GovernedLeague, Governor, validator_hex

LIMITS = msgspec.structs.replace(
    PARAMS,
    governance_burst_units=60,
    governance_units_per_hour=36_000,
    proposal_retention_s=400,
    proposals_open_per_proposer_max=2,
    suspension_max_s=30,
    trust_period_s=60,
)
NAMES = ("lubeck", "bergen", "riga", "bruges", "visby")


class RecordedLeague(GovernedLeague):
    """Records every block that it decides."""

    def __init__(self, limits: LedgerParams = LIMITS) -> None:
        self.blocks: list[RecordedBlock] = []
        super().__init__(NAMES, params=limits)
        genesis_hash = self.state.head.app_hash.hex()
        validators = {validator_hex(one.validator): 10 for one in self.governors}
        document = msgspec.json.encode(AppState(self.app_state.members, limits)).decode()
        self.genesis = Genesis(document, TIME_MS, validators, genesis_hash)
        self.origins = {one.did: _origin(one) for one in self.governors}

    def commit(
        self, *transactions: bytes, seconds: float = 1, misbehavior: Sequence[Misbehavior] = ()
    ) -> BlockEffects:
        effects = super().commit(*transactions, seconds=seconds, misbehavior=misbehavior)
        numbers = [one.rule.number if isinstance(one, RuleBroken) else 0 for one in effects.refusals]
        recorded = tuple(
            RecordedTransaction(
                f"{raw[9:13].decode('latin-1')} {len(self.blocks)}", raw.decode("latin-1"), number
            )
            for raw, number in zip(transactions, numbers, strict=True)
        )
        self.blocks.append(
            RecordedBlock(
                self.state.head.height,
                self.time_ms,
                recorded,
                self.state.head.app_hash.hex(),
                tuple(misbehavior),
                {one.address: one.power for one in effects.validators},
            )
        )
        return effects

    def events(self, governor: Governor, count: int = 2) -> bytes:
        """A batch of a member."""
        origin = self.origins.setdefault(governor.did, _origin(governor))
        origin.time = datetime.fromtimestamp(self.time_ms / 1000, UTC)
        return origin.batch(*origin.events(count))


def _origin(governor: Governor) -> Origin:
    origin = Origin(governor.name, "Ed25519")
    origin.key, origin.did = governor.key, governor.did
    origin.signer = BatchSigner(governor.key, governor.did, ManualClock())
    return origin


def record() -> Corpus:
    """The whole story."""
    league = RecordedLeague()
    _decide_everything(league)
    _state_everything(league)
    _attack(league)
    _let_time_pass(league)
    return Corpus(league.genesis, tuple(league.blocks))


def _decide_everything(league: RecordedLeague) -> None:
    lubeck, bergen, riga, _, visby = league.governors
    root = authority("Golden Trust CA")
    issuer = TrustedIssuer(
        (CredentialGrant(1, "LEARCredentialEmployee", 2),), "did:elsi:VATES-12345678", name="GoodAir"
    )
    newcomer = league.candidate("newcomer")
    changes: list[LeagueChange] = [
        ParamSet("heartbeat_s", 30),
        AnchorPut(certificate_text(root.der), "Golden"),
        IssuerPut(issuer),
        PolicySet((PolicyRow("refuse", types=("Catalog",)),)),
        PolicySet(()),
        IssuerRemove(issuer.did),
        AnchorRemove(read_certificate(root.der).fingerprint, "keep"),
        PlanUpgrade(10**6, "hansa-ledger/5"),
        PlanUpgrade(0, "hansa-ledger/5"),
        MemberPut(newcomer.candidacy(), 10, ("urn:newcomer:",)),
        Suspension(visby.did, 20),
        MemberStatusChange(riga.did, "suspended"),
        MemberStatusChange(riga.did, "active"),
    ]
    for change in changes:
        assert league.decide(change) == "passed", change
        league.commit(league.events(lubeck), league.events(bergen), league.events(visby))
    league.commit(league.events(newcomer), seconds=100)
    spare = league.candidate("spare").validator
    proof = newcomer.possession(spare, "validator")
    assert league.decide(ValidatorPower(newcomer.did, 9, proof)) == "passed"
    newcomer.validator = spare
    league.commit(seconds=100)
    assert league.decide(MemberStatusChange(newcomer.did, "removed")) == "passed"
    for _ in range(4):
        league.commit(league.events(newcomer), newcomer.state(Leave()))


def _state_everything(league: RecordedLeague) -> None:
    lubeck, bergen, riga, bruges, visby = league.governors
    for member in (lubeck, bergen):
        new, old = SigningKey.generate("ES256"), member.key
        rotate = KeyRotate(member.possession(new), overlap_s=20, replaces=old.kid)
        league.commit(member.state(rotate))
        league.commit(member.state(EndpointSet(f"https://new-{member.name}.example"), new))
        member.key = new
        league.origins[member.did].signer = BatchSigner(new, member.did, ManualClock())
        league.commit(league.events(member), member.state(EndpointSet(member.endpoint), old), seconds=30)
    league.commit(riga.state(NodesSet((riga.possession(riga.node, "node"),))), riga.state(NodesSet()))
    extra = SigningKey.generate("Ed25519")
    league.commit(riga.state(KeyRotate(riga.possession(extra))), riga.state(KeyRevoke(extra.kid)))
    league.commit(bruges.state(UpgradeReady("hansa-ledger/5", "9.9.9")))
    league.commit(seconds=100)
    league.commit(visby.state(Leave()), league.events(visby))
    for _ in range(4):
        league.commit(league.events(visby))
    league.commit(misbehavior=[_evidence(league, bruges)], seconds=100)
    league.commit(misbehavior=[_evidence(league, bruges)])


def _evidence(league: RecordedLeague, offender: Governor) -> Misbehavior:
    address = validator_address(validator_hex(offender.validator))
    return Misbehavior(address, league.state.head.height, "duplicate_vote")


def _attack(league: RecordedLeague) -> None:
    """Refused ones beside valid ones: replays, thefts, other leagues, changed bytes."""
    lubeck, bergen, riga, bruges, _ = league.governors
    stranger, foreign = league.candidate("stranger"), Governor("foreign", "f" * 64)
    again = ValidatorPower(bruges.did, 10)
    name = league.propose(lubeck, ParamSet("heartbeat_s", 31))
    vote = bergen.vote(name)
    forged = Governor("forged", league.league)
    forged.did, forged.seq = riga.did, 5000
    league.commit(
        vote,
        vote,
        stranger.vote(name),
        foreign.vote(name),
        forged.vote(name),
        bruges.vote(name),
        bergen.vote("0" * 64),
        encode_proposal(league.proposal(lubeck, again)),
        encode_proposal(league.proposal(lubeck, MemberPut(stranger.candidacy(endpoint=riga.endpoint)))),
        encode_proposal(league.proposal(bergen, ParamSet("nothing", 1))),
        encode_proposal(league.proposal(bergen, ParamSet("heartbeat_s", 1), life_s=10**8)),
        riga.state(KeyRotate(lubeck.possession(lubeck.key))),
        riga.state(EndpointSet(lubeck.endpoint)),
        riga.state(EndpointSet("https://RIGA.example")),
    )
    for number in range(60):
        place = int.from_bytes(hashlib.sha256(b"%d" % number).digest()[:4]) % len(vote)
        flipped = vote[:place] + bytes([vote[place] ^ (1 << number % 8)]) + vote[place + 1 :]
        league.commit(flipped, vote[:place], lubeck.vote(name, "no"))
    for _ in range(3):
        league.commit(*(riga.state(EndpointSet(riga.endpoint)) for _ in range(30)))


def _let_time_pass(league: RecordedLeague) -> None:
    lubeck, bergen, *_ = league.governors
    name = proposal_hash(compact := league.proposal(bergen, ParamSet("heartbeat_s", 32), life_s=50))
    league.commit(encode_proposal(compact))
    league.commit(lubeck.vote(name), seconds=60)
    league.commit(seconds=500)
    league.commit()
    league.commit(league.events(lubeck), league.events(bergen))


def main() -> int:
    """Record the ledger, unless it is there."""
    path = LEDGERS[-1]
    if path.exists() and "--again" not in sys.argv:
        sys.stdout.write(f"{path.name} is recorded, and never recorded again.\n")
        return 1
    recorded = record()
    write_corpus(recorded, path)
    sys.stdout.write(f"{recorded.count} transactions in {len(recorded.blocks)} blocks recorded.\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
