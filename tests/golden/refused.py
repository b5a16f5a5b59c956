"""Records what breaks the rules of `hansa-ledger/4`: `python -m tests.golden.refused`.

A league of five judges, beside valid transactions, at least one that breaks each of its rules: of events,
quotas, governance, voting power, certificates and distribution policies. `test_corpus` says which rule is
missing. What is recorded is replayed by `tests.golden.corpus`, and never recorded again.
"""

from __future__ import annotations

import random
import sys
from datetime import UTC, datetime, timedelta

import msgspec

from hansa.core.governance.changes import MemberPut, MemberStatusChange, ParamSet, ValidatorPower
from hansa.core.governance.statements import EndpointSet, KeyRotate
from hansa.core.keys import SigningKey
from hansa.core.trust.certificates import certificate_text
from hansa.core.trust.changes import AnchorPut, CertificateRevoke, PolicySet
from hansa.core.trust.policies import PolicyRow
from hansa.pubsub.ledger.rules.propose import encode_proposal
from tests.contract.origins import Origin
from tests.golden.corpus import REFUSALS, Corpus, write_corpus
from tests.golden.governed import LIMITS, RecordedLeague
from tests.golden.record import FAULTS, LARGE, MUTATIONS, PARAMS, Recorder, batch_of, contents_of
from tests.support.certificates import authority
from tests.support.governed import CLOCK, Governor
from tests.support.legal_persons import BEGIN, DID, END, LegalPerson, SealedPerson, rsa_seal

NARROW = msgspec.structs.replace(
    LIMITS,
    event_size_max_bytes=PARAMS.event_size_max_bytes,
    events_per_transaction_max=PARAMS.events_per_transaction_max,
    governance_burst_units=400,
    issuer_burst_s=PARAMS.issuer_burst_s,
    issuer_bytes_per_day=300_000,
    issuer_bytes_per_s=7000,
    issuer_events_per_s=10,
    proposal_size_max_bytes=14_000,
    transaction_size_max_bytes=65_536,
)


class Scene(Recorder):
    """What the faults of events are made from: members of the league, and what they have published."""

    def __init__(self, league: RecordedLeague) -> None:
        self.draw = random.Random(4)
        self.active = list(league.origins.values())[:3]
        self.suspended = list(league.origins.values())[3]
        self.greedy = list(league.origins.values())[4]
        self.stranger = Origin("stranger", "Ed25519")
        self.committed = []
        self.chains = {}
        self.note_time(league)

    def note_time(self, league: RecordedLeague) -> None:
        """Let events have the time of the league's next block."""
        self.time = datetime.fromtimestamp(league.time_ms / 1000, UTC) + timedelta(seconds=1)
        for origin in (*self.active, self.suspended, self.greedy, self.stranger):
            origin.time = self.time


def record() -> Corpus:
    """The whole story."""
    league = RecordedLeague(NARROW)
    _refuse_events(league)
    _refuse_governance(league)
    _refuse_powers(league)
    _refuse_keys(league)
    _refuse_what_is_distributed(league)
    _exceed_quotas(league)
    return Corpus(league.genesis, tuple(league.blocks))


def _refuse_events(league: RecordedLeague) -> None:
    assert league.decide(MemberStatusChange(league.governors[3].did, "suspended")) == "passed"
    scene = Scene(league)
    for name in sorted(FAULTS):
        league.commit(seconds=30)
        scene.note_time(league)
        origin = scene.active[0]
        entity = scene._new()
        valid = origin.batch(origin.event(entity))
        scene.chains[origin.did, entity] = "Create"
        scene.committed.append(valid)
        league.commit(valid)
        scene.note_time(league)
        league.commit(FAULTS[name](scene, origin, scene._new()))
    last = scene.committed[-1]
    scene.note_time(league)
    league.commit(scene.active[0].batch(*contents_of(last)))
    for name in sorted(MUTATIONS):
        league.commit(MUTATIONS[name](last, scene.draw))
    league.commit(last + b" " * NARROW.transaction_size_max_bytes)
    league.commit(seconds=30)
    scene.note_time(league)
    new, other = (scene.active[0].batch(scene.active[0].event(scene._new())) for _ in range(2))
    league.commit(with_signature_of(new, other), new)


def with_signature_of(raw: bytes, other: bytes) -> bytes:
    """A transaction with the signature of another one in place of its own."""
    signature = batch_of(other).rsplit(".", 1)[1]
    return raw.replace(batch_of(raw).rsplit(".", 1)[1].encode(), signature.encode())


def _refuse_governance(league: RecordedLeague) -> None:
    lubeck, bergen, riga, _, visby = league.governors
    stranger = league.candidate("stranger")
    name = league.propose(lubeck, ParamSet("heartbeat_s", 31))
    vote, other = bergen.vote(name), bergen.vote(name, "no")
    jws, foreign_jws = (one.decode().split('"')[7] for one in (vote, other))
    swapped = vote.replace(jws.rsplit(".", 1)[1].encode(), foreign_jws.rsplit(".", 1)[1].encode())
    forged = Governor("forged", league.league)
    forged.did, forged.seq = riga.did, 5000
    elsewhere = Governor("visby", "f" * 64)
    elsewhere.did, elsewhere.key, elsewhere.seq = visby.did, visby.key, 5000
    league.commit(swapped, vote, vote, stranger.vote(name), forged.vote(name), elsewhere.vote(name))
    league.commit(riga.vote("0" * 64), riga.vote(name, "no"))
    rows = tuple(PolicyRow("refuse", types=("Catalog",), reason="x" * 200) for _ in range(64))
    league.commit(
        encode_proposal(league.proposal(riga, PolicySet(rows))),
        encode_proposal(league.proposal(riga, ParamSet("heartbeat_s", 32), life_s=10**8)),
        encode_proposal(league.proposal(riga, ParamSet("nothing", 1))),
    )
    outdated = league.proposal(bergen, ParamSet("issuer_burst_s", 11))
    others = [one for one in league.governors if one is not bergen]
    assert league.decide(ParamSet("issuer_burst_s", 12), voters=others) == "passed"
    league.commit(encode_proposal(outdated))
    serial = league._serial
    league.propose(riga, ParamSet("heartbeat_s", 33))
    league._serial = serial
    league.commit(encode_proposal(league.proposal(visby, ParamSet("heartbeat_s", 34))))
    for value in range(3):
        league.commit(encode_proposal(league.proposal(visby, ParamSet("heartbeat_s", 35 + value))))
    league.commit(
        riga.state(KeyRotate(lubeck.possession(lubeck.key))),
        riga.state(EndpointSet(lubeck.endpoint)),
    )


def _refuse_powers(league: RecordedLeague) -> None:
    lubeck, bergen, *_ = league.governors
    league.commit(seconds=100_000)
    everybody = [ValidatorPower(one.did, 0) for one in league.governors]
    league.commit(
        encode_proposal(league.proposal(lubeck, *everybody)),
        encode_proposal(league.proposal(lubeck, ValidatorPower(lubeck.did, 30))),
        encode_proposal(
            league.proposal(lubeck, ValidatorPower(lubeck.did, 0), ValidatorPower(bergen.did, 0))
        ),
    )
    observer = league.candidate("observer")
    assert league.decide(MemberPut(observer.candidacy(validator="", nodes=()), 0)) == "passed"
    name = league.propose(lubeck, ParamSet("heartbeat_s", 40))
    league.commit(observer.vote(name))


def _refuse_keys(league: RecordedLeague) -> None:
    lubeck = league.governors[0]
    root = authority("Golden Trust CA", begin=BEGIN, end=END)
    impostor = authority("Golden Trust CA", begin=BEGIN, end=END)
    person, sealed = LegalPerson(league.league), SealedPerson(league.league, name="sealed")
    assert league.decide(AnchorPut(certificate_text(root.der), "Golden")) == "passed"
    attempts = [
        person.put(person.certificate(impostor)),
        person.put(person.certificate(None)),
        person.put(person.certificate(root, organization_identifier="VATES-87654321")),
        person.put(),
        sealed.sealed(rsa_seal(impostor)),
        sealed.sealed(rsa_seal(root), changed=True),
        sealed.sealed(rsa_seal(root), key=SigningKey.generate()),
    ]
    for attempt in attempts:
        league.commit(encode_proposal(league.proposal(lubeck, attempt)))
    assert league.decide(person.put(person.certificate(root))) == "passed"
    league.commit(person.batch(league))
    sealed.did = "did:elsi:VATES-11111111"
    organization = {"organization_identifier": "VATES-11111111"}
    assert league.decide(sealed.sealed(rsa_seal(root, **organization))) == "passed"
    league.commit(sealed.batch(league))
    assert league.decide(CertificateRevoke(sealed.did, sealed.key.kid)) == "passed"
    league.commit(sealed.batch(league), sealed.state(EndpointSet("https://sealed-2.example")))
    league.commit(seconds=(END - CLOCK.now()).total_seconds())
    league.commit(person.batch(league))
    assert league.decide(MemberStatusChange(DID, "removed")) == "passed"
    league.commit()


def _refuse_what_is_distributed(league: RecordedLeague) -> None:
    lubeck, bergen, *_ = league.governors
    rows = (PolicyRow("allow", types=("ProductOffering",), labels=("EU Cloud CoC",)),)
    assert league.decide(PolicySet(rows)) == "passed"
    league.commit(league.events(lubeck), league.events(bergen))
    assert league.decide(PolicySet(())) == "passed"
    league.commit(league.events(lubeck), league.events(bergen))


def _exceed_quotas(league: RecordedLeague) -> None:
    scene = Scene(league)
    greedy = scene.greedy
    league.commit(seconds=1000)
    scene.note_time(league)
    league.commit(*(greedy.batch(*greedy.events(4)) for _ in range(33)))
    for _ in range(5):
        league.commit(seconds=30)
        scene.note_time(league)
        batches = [
            greedy.batch(*(greedy.event(scene._new(), metadata=LARGE) for _ in range(3))) for _ in range(16)
        ]
        league.commit(*batches)
    riga = league.governors[2]
    for _ in range(8):
        league.commit(*(riga.state(EndpointSet(riga.endpoint)) for _ in range(60)))


def main() -> int:
    """Record them, unless they are there."""
    if REFUSALS.exists() and "--again" not in sys.argv:
        sys.stdout.write(f"{REFUSALS.name} is recorded, and never recorded again.\n")
        return 1
    recorded = record()
    write_corpus(recorded, REFUSALS)
    numbers = sorted({one.number for block in recorded.blocks for one in block.transactions})
    sys.stdout.write(f"{recorded.count} transactions in {len(recorded.blocks)} blocks recorded: {numbers}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
