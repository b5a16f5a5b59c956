from __future__ import annotations

import msgspec
import pytest

from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Refused
from hansa.core.governance.changes import MemberStatusChange, ParamSet, Suspension, ValidatorPower
from hansa.core.governance.elements import BaseElement
from hansa.core.governance.forms import LeagueChange
from hansa.core.governance.proposals import proposal_hash
from hansa.core.governance.signer import GovernanceSigner
from hansa.core.keys import SigningKey
from hansa.core.members import Member
from hansa.pubsub.league.reports import histories, proposal_named, proposals
from hansa.pubsub.league.state import LeagueState
from hansa.pubsub.league.texts import describe
from hansa.pubsub.ledger.commitments.governance import (
    DECISION,
    KEY_RECORD,
    LOCATION,
    OPEN_PROPOSAL,
    VOTE_RECORD,
    ClosedProposal,
    KeyRecord,
    LocationRecord,
    OpenProposal,
    VoteRecord,
)
from hansa.pubsub.ledger.commitments.stored import ValidatorRecord, validator_address
from hansa.pubsub.ledger.genesis import LedgerParams

LEAGUE_ID = "0" * 64
ENTROPY = bytes


class Scene:
    """A league of four, what they propose and how they vote."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.keys = [SigningKey.generate() for _ in range(4)]
        self.members = tuple(
            Member(
                f"did:web:m{n}.example",
                f"member-{n}",
                f"https://m{n}.example",
                (key.public,),
                10,
                validator_key=f"{n}" * 64,
            )
            for n, key in enumerate(self.keys)
        )
        self.sections: dict[str, dict[str, bytes]] = {}
        self._seq = 0

    @property
    def state(self) -> LeagueState:
        """The league now."""
        validators = [
            ValidatorRecord(validator_address(one.validator_key), one.validator_key, one.power)
            for one in self.members
        ]
        return LeagueState(
            *(100, 1_700_000_000_000, "hansa-ledger/4", self.members, LedgerParams()),
            *({one.address: one for one in validators}, self.sections),
        )

    def propose(self, *changes: LeagueChange, by: int = 0, note: str = "") -> str:
        """Have a member propose something; its hash."""
        self._seq += 1
        signer = GovernanceSigner(self.keys[by], self.members[by].did, LEAGUE_ID, self.clock)
        jws = signer.propose(
            changes,
            (BaseElement("param/issuer_events_per_s", "0" * 64),),
            seq=self._seq,
            expires_height=500,
            expires_time_ms=1_700_000_600_000,
            entropy=ENTROPY,
            note=note,
        )
        name = proposal_hash(jws)
        stored = OpenProposal(
            90 + self._seq,
            "0191aaaa-aaaa-7aaa-8aaa-aaaaaaaaaaaa",
            jws,
            self.members[by].did,
            1_700_000_000_000,
        )
        self.sections.setdefault("proposals", {})[name] = OPEN_PROPOSAL.write(stored)
        return name

    def vote(self, name: str, by: int, choice: str) -> None:
        """Have a member vote."""
        record = VoteRecord(choice, 99, "a.b.c")  # type: ignore[arg-type]
        self.sections.setdefault("votes", {})[f"{name}/{self.members[by].did}"] = VOTE_RECORD.write(record)


def test_a_proposal_says_what_it_has_what_it_needs_and_who_is_missing() -> None:
    scene = Scene()
    name = scene.propose(ParamSet("issuer_events_per_s", 500), note="more room")
    scene.vote(name, 0, "yes")
    scene.vote(name, 2, "no")
    (report,) = proposals(scene.state)
    assert (report.hash, report.outcome, report.note) == (name, "open", "more room")
    assert (report.yes_power, report.no_power, report.needed_power, report.total_power) == (10, 10, 27, 40)
    assert [(one.name, one.choice) for one in report.votes] == [("member-0", "yes"), ("member-2", "no")]
    assert report.missing == ("member-1", "member-3")
    (change,) = report.changes
    assert (change.subject, change.old, change.new) == ("issuer_events_per_s", "250", "500")


def test_a_closed_proposal_says_how_it_ended() -> None:
    scene = Scene()
    name = scene.propose(ValidatorPower(scene.members[1].did, 0))
    stored = OPEN_PROPOSAL.read(scene.sections["proposals"].pop(name))
    decision = ClosedProposal(
        99, "void", stored, 1_700_000_001_000, reason="power/… has changed", total_power=40
    )
    scene.sections["decisions"] = {name: DECISION.write(decision)}
    (report,) = proposals(scene.state)
    assert (report.outcome, report.reason, report.decided_height) == ("void", "power/… has changed", 99)
    assert report.missing == ()
    assert proposals(scene.state, with_closed=False) == ()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (ValidatorPower("did:web:m1.example", 20), "Give member-1 (….example) voting power 20."),
        (ParamSet("issuer_events_per_s", 500), "Set issuer_events_per_s to 500."),
    ],
)
def test_a_decided_proposal_says_what_was_to_be_and_what_it_needed_then(
    change: LeagueChange, text: str
) -> None:
    scene = Scene()
    name = scene.propose(change)
    stored = OPEN_PROPOSAL.read(scene.sections["proposals"].pop(name))
    decision = ClosedProposal(99, "passed", stored, 1_700_000_001_000, yes_power=30, total_power=30)
    scene.sections["decisions"] = {name: DECISION.write(decision)}
    (report,) = proposals(scene.state)
    assert scene.state.total_power == 40
    assert (report.needed_power, report.total_power) == (21, 30)
    assert [(one.old, one.text) for one in report.changes] == [("", text)]


def test_a_proposal_is_named_by_its_hash_by_a_beginning_of_it_or_by_its_id() -> None:
    scene = Scene()
    name = scene.propose(ParamSet("issuer_events_per_s", 500))
    state = scene.state
    found = proposals(state)[0]
    for called in (name, name[:4], name[:12].upper(), found.id):
        assert proposal_named(state, called) == found
    for called in ("", name[:3], "zzzz", f"{name}0"):
        with pytest.raises(Refused) as refused:
            proposal_named(state, called)
        assert refused.value.code is Code.NOT_FOUND
        assert name[:16] in refused.value.message


def test_an_id_that_a_hostile_proposer_copied_names_no_proposal() -> None:
    scene = Scene()
    scene.propose(ParamSet("issuer_events_per_s", 500))
    copied = proposals(scene.state)[0].id
    scene.propose(MemberStatusChange(scene.members[0].did, "removed"), by=3)
    with pytest.raises(Refused) as refused:
        proposal_named(scene.state, copied)
    assert refused.value.code is Code.CONFLICT


def test_power_that_a_voter_has_lost_does_not_count() -> None:
    scene = Scene()
    name = scene.propose(ParamSet("issuer_events_per_s", 500))
    scene.vote(name, 1, "yes")
    scene.members = tuple(
        msgspec.structs.replace(one, power=0) if n == 1 else one for n, one in enumerate(scene.members)
    )
    (report,) = proposals(scene.state)
    assert (report.yes_power, report.total_power, report.needed_power) == (0, 30, 21)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (ValidatorPower("did:web:m1.example", 30), ("voting power 30 (50 % of 60) instead of 10",)),
        (MemberStatusChange("did:web:m1.example", "removed"), ("Remove member-1", "for ever")),
        (MemberStatusChange("did:web:nobody.example", "suspended"), ("did:web:nobody.example",)),
        (Suspension("did:web:m1.example", 7200), ("2 h", "ends by itself", "voting power stays")),
        (ParamSet("no_such_limit", 1), ("no such limit",)),
    ],
)
def test_a_change_is_told_in_plain_words(change: LeagueChange, words: tuple[str, ...]) -> None:
    text = describe(change, Scene().state).text
    assert all(each in text for each in words), text


def test_a_member_has_its_keys_and_endpoints_with_their_positions() -> None:
    scene = Scene()
    did, key = scene.members[0].did, scene.keys[0].public
    scene.sections["history"] = {
        f"key/{did}/{key.kid}": KEY_RECORD.write(KeyRecord(key, 1, 90, retired=1)),
        f"key/{did}/urn:a/b": KEY_RECORD.write(KeyRecord(key, 80)),
        f"location/{did}/{1:016}": LOCATION.write(LocationRecord("https://old.example")),
        f"location/{did}/{50:016}": LOCATION.write(LocationRecord("https://m0.example")),
        "endpoint/https://old.example": b"",
    }
    first = histories(scene.state)[0]
    assert [(one.kid, one.since, one.until) for one in first.keys] == [
        (key.kid, 1, 90),
        ("urn:a/b", 80, None),
    ]
    assert [(one.since, one.endpoint) for one in first.endpoints] == [
        (1, "https://old.example"),
        (50, "https://m0.example"),
    ]
