"""What operators propose and vote on at the pages reaches the ledger of a league in memory."""

from __future__ import annotations

import os
from typing import Any, cast

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from hansa.core.clock import ManualClock
from hansa.core.errors import Code, HansaError, Refused
from hansa.node.parts.pages.league.proposals import LeagueProposals
from hansa.portal.operators.league.proposals import DesiredChange, ProposalKind
from hansa.pubsub.memory import MemoryBus, MemoryLedger
from tests.contract.origins import NOW, Origin
from tests.support.certificates import authority


class Scene:
    """Two members, of which the first has all the power, and its pages."""

    def __init__(self) -> None:
        clock = ManualClock(NOW)
        self.lubeck, self.riga = Origin("lubeck"), Origin("riga")
        powerless = msgspec.structs.replace(self.riga.member, validator_key="", power=0)
        self.bus = MemoryBus(MemoryLedger([self.lubeck.member, powerless], clock))
        node = cast("Any", self.bus)
        node.for_strangers = self.bus
        self.pages = LeagueProposals(self.lubeck.did, node, self.lubeck.key, clock, os.urandom)


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def refusal(scene: Scene, desired: DesiredChange) -> HansaError:
    with pytest.raises(Refused) as caught:
        await scene.pages.effect(desired)
    return caught.value


async def test_a_suspension_is_shown_proposed_and_voted_for(scene: Scene) -> None:
    desired = DesiredChange("suspend", member=scene.riga.did, note="wrong bytes")
    proposed = await scene.pages.effect(desired)
    assert "Suspend riga" in proposed.effect.text
    assert await scene.pages.proposals() == ()
    hash = await scene.pages.propose(desired)
    proposal = await scene.pages.proposal(hash[:12])
    assert (proposal.outcome, proposal.note, proposal.missing) == ("open", "wrong bytes", ("lubeck",))
    await scene.pages.vote(hash, "yes")
    assert (await scene.pages.proposal(hash)).outcome == "passed"
    members = {one.did: one.status for one in await scene.bus.members()}
    assert members[scene.riga.did] == "suspended"


async def test_a_vote_on_a_closed_proposal_is_refused(scene: Scene) -> None:
    hash = await scene.pages.propose(DesiredChange("param", parameter="event_ahead_max_s", number="400"))
    await scene.pages.vote(hash, "yes")
    with pytest.raises(Refused) as caught:
        await scene.pages.vote(hash, "no")
    assert caught.value.code is Code.CONFLICT


async def test_the_form_offers_members_parameters_and_the_own_power(scene: Scene) -> None:
    choices = await scene.pages.choices()
    assert {name for _, name in choices.members} == {"lubeck", "riga"}
    assert ("event_ahead_max_s", 300) in choices.parameters
    assert choices.own_power == 1


async def test_an_issuer_is_put_and_removed_by_json(scene: Scene) -> None:
    desired = DesiredChange("issuer", text='{"change": "issuer.remove", "did": "did:web:x.example"}')
    assert (await scene.pages.effect(desired)).effect.change == "issuer.remove"


async def test_a_table_of_policies_is_proposed_from_the_one_that_there_is(scene: Scene) -> None:
    assert (await scene.pages.choices()).policy == "[]"
    rows = '[{"action": "refuse", "types": ["Category"], "labels": [], "reason": ""}]'
    desired = DesiredChange("policy", text=rows)
    assert (await scene.pages.effect(desired)).effect.change == "policy.set"
    await scene.pages.vote(await scene.pages.propose(desired), "yes")
    assert '"Category"' in (await scene.pages.choices()).policy
    none = await scene.pages.effect(DesiredChange("policy", text="[]"))
    assert none.effect.change == "policy.set"


async def test_an_upgrade_is_planned_for_rules_that_the_release_knows(scene: Scene) -> None:
    choices = await scene.pages.choices()
    assert choices.ruleset in choices.rulesets
    desired = DesiredChange("upgrade", number=str(choices.height + 1000), ruleset=choices.rulesets[-1])
    proposed = await scene.pages.effect(desired)
    assert proposed.effect.change == "upgrade.plan"
    assert f"From block {choices.height + 1000} on" in proposed.effect.text


async def test_an_authority_is_accepted_by_its_certificate_and_can_be_chosen_to_be_accepted_no_more(
    scene: Scene,
) -> None:
    pem = authority().certificate.public_bytes(Encoding.PEM).decode()
    desired = DesiredChange("anchor", text=f"pasted from a letter\n{pem}")
    await scene.pages.vote(await scene.pages.propose(desired), "yes")
    ((fingerprint, _),) = (await scene.pages.choices()).anchors
    removed = await scene.pages.effect(DesiredChange("anchor-remove", anchor=fingerprint, keys="revoke"))
    assert removed.effect.change == "anchor.remove"


@pytest.mark.parametrize(
    ("kind", "number", "change", "new"),
    [
        ("suspend", "", "member.status", "suspended"),
        ("suspend", "0", "suspension", "may not publish for 1 h"),
        ("suspend", "48", "suspension", "may not publish for 2 d"),
        ("activate", "", "member.status", "active"),
        ("remove", "", "member.status", "removed"),
        ("power", "0", "validator.power", "voting power 0"),
    ],
)
async def test_each_kind_about_a_member_changes_what_it_names(
    scene: Scene, kind: ProposalKind, number: str, change: str, new: str
) -> None:
    effect = (await scene.pages.effect(DesiredChange(kind, scene.lubeck.did, number=number))).effect
    assert (effect.change, effect.new) == (change, new)


@pytest.mark.parametrize(
    "desired",
    [
        DesiredChange("suspend", member="did:web:nobody"),
        DesiredChange("remove"),
        DesiredChange("power", number="1"),
        DesiredChange("param", parameter="nothing", number="1"),
        DesiredChange("param", parameter="event_ahead_max_s", number="many"),
        DesiredChange("param", parameter="event_ahead_max_s", number="9" * 400),
        DesiredChange("admit", text="x.y.z"),
        DesiredChange("admit", text='{"candidacy": 7}'),
        DesiredChange("admit", text="{" * 60_000),
        DesiredChange("issuer", text="[]"),
        DesiredChange("issuer", text="no json"),
        DesiredChange("issuer", text='{"change": "member.put"}'),
        DesiredChange("issuer", text='{"change": ["issuer.put"]}'),
        DesiredChange("issuer", text='{"did": "x"}'),
        DesiredChange("anchor", text="no certificate"),
        DesiredChange("anchor-remove", anchor="ff"),
        DesiredChange("certificate", member="did:web:nobody", text="k"),
        DesiredChange("policy", text="{]"),
        DesiredChange("policy", text="[7]"),
        DesiredChange("policy", text='{"rows": 7}'),
        DesiredChange("policy", text='[{"action": "perhaps"}]'),
        DesiredChange("upgrade", number="soon", ruleset="hansa-ledger/4"),
        DesiredChange("upgrade", number="100", ruleset="the newest"),
        DesiredChange("upgrade", number="100", ruleset="hansa-ledger/4", engine="new"),
    ],
    ids=lambda desired: f"{desired.kind}-{len(desired.text)}-{len(desired.number)}-{desired.parameter[:9]}",
)
async def test_what_makes_no_sense_is_refused_with_the_reason(scene: Scene, desired: DesiredChange) -> None:
    error = await refusal(scene, desired)
    assert error.code is Code.INVALID
    assert error.message
