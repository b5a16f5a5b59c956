"""Records sealed events and keys for key agreement: `python -m tests.golden.sealed`.

A league of five under `hansa-ledger/4`: sealed events beside others, sealed events that say more than they
may, texts that are not in their one form, members that register keys for key agreement, and a member that is
admitted with its key and its country. What is recorded is replayed by `tests.golden.corpus`, and never
recorded again.
"""

from __future__ import annotations

import base64
import hashlib
import sys
from datetime import UTC, datetime
from typing import Any

import msgspec

from hansa.core.canonical import hashlink
from hansa.core.events import (
    CONFIDENTIAL,
    CREATE,
    EntityVersion,
    LifecycleEvent,
    event_id,
    event_name,
    event_time,
)
from hansa.core.governance.changes import MemberPut
from hansa.core.governance.statements import AgreementSet
from tests.contract.origins import Origin
from tests.golden.corpus import SEALED, Corpus, write_corpus
from tests.golden.governed import RecordedLeague
from tests.golden.record import compact

WRONG: dict[str, dict[str, Any]] = {
    "another type": {"entity": {"type": "ProductOrder"}},
    "another event": {"type": "confidentialStateChangeEvent"},
    "metadata": {"metadata": {"region": ["EU"]}},
    "a nonce": {"nonce": "ab" * 16},
    "a version": {"entity": {"version": 2}, "previous": hashlink(b"before")},
    "a short text": {"sealed": "A" * 535},
    "a long text": {"sealed": "A" * 537},
    "another alphabet": {"sealed": "A" * 535 + "+"},
    "no text": {"sealed": None},
}


def sealed_text(name: str) -> str:
    """A text of the form of a sealed event."""
    return base64.urlsafe_b64encode(hashlib.shake_256(name.encode()).digest(402)).decode()


def sealed_event(origin: Origin, name: str, **fields: Any) -> bytes:
    """A sealed event of an origin, and whatever else it says."""
    version = EntityVersion(hashlib.sha256(name.encode()).hexdigest(), CONFIDENTIAL, 1)
    time = event_time(origin.time)
    event = LifecycleEvent(
        *(event_id(origin.did, version, time), event_name(CONFIDENTIAL, CREATE), time, origin.did, version),
        hashlink(name.encode()),
        sealed=sealed_text(name),
    )
    content = msgspec.to_builtins(event)
    del content["issuer"]
    content["entity"] |= fields.pop("entity", {})
    return compact({**content, **fields})


def record() -> Corpus:
    """The whole story."""
    league = RecordedLeague()
    origins = list(league.origins.values())
    for number, origin in enumerate(origins):
        _note_time(league)
        league.commit(origin.batch(sealed_event(origin, f"first {number}"), *origin.events(1)))
    for name, fields in WRONG.items():
        _note_time(league)
        league.commit(origins[0].batch(sealed_event(origins[0], name, **fields)))
    _note_time(league)
    league.commit(origins[1].batch(*(sealed_event(origins[1], f"many {n}") for n in range(3))))
    _note_time(league)
    league.commit(origins[1].batch(sealed_event(origins[1], "many 0")))
    lubeck, bergen, *_ = league.governors
    for governor, key in ((lubeck, "A" * 43), (bergen, "_" * 42 + "8"), (lubeck, "B" * 42 + "0")):
        league.commit(governor.state(AgreementSet(key)))
    visby = league.candidate("another")
    candidacy = visby.candidacy(agreement_key="C" * 42 + "E", country="SE")
    assert league.decide(MemberPut(candidacy)) == "passed"
    assert league.decide(MemberPut(visby.candidacy(country="EE"))) == "passed"
    league.commit(seconds=60)
    return Corpus(league.genesis, tuple(league.blocks))


def _note_time(league: RecordedLeague) -> None:
    league.commit(seconds=30)
    for origin in league.origins.values():
        origin.time = datetime.fromtimestamp(league.time_ms / 1000, UTC)


if __name__ == "__main__":
    write_corpus(record(), SEALED)
    sys.stdout.write(f"{SEALED}\n")
