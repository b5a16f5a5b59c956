"""`member.put`: admit a candidate, or replace what the registry has of a member.

A candidacy has proofs of possession of every key in it, so nobody can register what is another's. A
member whose keys are lost gets those of its new candidacy in place of the old ones. A DID whose
membership has ended is never admitted again.
"""

from __future__ import annotations

from typing import Final

import msgspec

from hansa.core.errors import Refused
from hansa.core.governance.changes import MemberPut
from hansa.core.governance.possession import (
    CANDIDACY,
    Candidacy,
    KeyUse,
    Possession,
    node_id_of,
    read_possession,
    validator_key_of,
)
from hansa.core.identifiers import is_identifier_prefix
from hansa.core.jws import CompactJws
from hansa.core.members import Member, is_endpoint
from hansa.pubsub.ledger.rules.certificates import register_key
from hansa.pubsub.ledger.rules.changes.elements import ElementsView
from hansa.pubsub.ledger.rules.changes.kind import ChangeKind
from hansa.pubsub.ledger.rules.governance.history import begin_key, begin_location, claim_name, claim_prefix
from hansa.pubsub.ledger.rules.governance.membership import (
    put_endpoint,
    put_key,
    put_nodes,
    retire_key,
)
from hansa.pubsub.ledger.rules.governance.powers import power_of, set_power
from hansa.pubsub.ledger.rules.governance.refusals import CHANGE, LEAGUE, POSSESSION
from hansa.pubsub.ledger.rules.governance.senders import league_of
from hansa.pubsub.ledger.rules.kind import CheckContext
from hansa.pubsub.ledger.state import Overlay, StateView


def _candidacy(change: MemberPut) -> tuple[Candidacy, CompactJws]:
    """The candidacy, unverified."""
    try:
        return CANDIDACY.read(change.candidacy)
    except Refused as error:
        raise CHANGE.broken(f"The candidacy is malformed: {error.message}") from error


def _proof(compact: str, candidacy: Candidacy, use: KeyUse) -> tuple[Possession, CompactJws]:
    """A proof of the candidacy, its signature unverified."""
    try:
        return read_possession(compact, candidacy.did, candidacy.league, use)
    except Refused as error:
        raise POSSESSION.broken(error.message) from error


def _check(state: StateView, change: MemberPut, context: CheckContext) -> None:
    candidacy, jws = _candidacy(change)
    if candidacy.league != league_of(state):
        raise LEAGUE.broken("The candidacy is for another league.")
    proofs = [
        *((text, *_proof(text, candidacy, "signing")) for text in candidacy.keys),
        *((text, *_proof(text, candidacy, "node")) for text in candidacy.nodes),
    ]
    if candidacy.validator:
        proofs.append((candidacy.validator, *_proof(candidacy.validator, candidacy, "validator")))
    first = proofs[0][1].key
    try:
        if jws.kid != first.kid:
            raise CHANGE.broken("The candidacy is not signed by its first key.")
        context.signatures.verify(change.candidacy, jws, first)
        for text, proof, parts in proofs:
            context.signatures.verify(text, parts, proof.key)
    except Refused as error:
        raise POSSESSION.broken(error.message) from error


def _apply(state: Overlay, change: MemberPut) -> None:
    candidacy, _ = _candidacy(change)
    proofs = [_proof(text, candidacy, "signing")[0] for text in candidacy.keys]
    nodes = {
        node_id_of(proof.key): proof.key
        for proof in (_proof(text, candidacy, "node")[0] for text in candidacy.nodes)
    }
    _check_names(candidacy, change, proofs, len(nodes))
    before = state.member(candidacy.did)
    if before is None:
        member = _admit(state, candidacy, proofs)
    elif before.is_current:
        member = _replace_keys(state, before, candidacy, proofs)
    else:
        raise CHANGE.broken(f"{candidacy.did} was a member; a DID is not admitted again.")
    for prefix in change.prefixes:
        claim_prefix(state, prefix, member.did)
    member = put_nodes(state, member, nodes)
    member = msgspec.structs.replace(
        member,
        name=candidacy.name,
        prefixes=change.prefixes,
        agreement_key=candidacy.agreement_key or member.agreement_key,
        country=candidacy.country or member.country,
    )
    state.put_member(member)
    validator_key = member.validator_key
    if candidacy.validator:
        validator_key = validator_key_of(_proof(candidacy.validator, candidacy, "validator")[0].key)
    if (change.power, validator_key) != (power_of(state, member), member.validator_key):
        set_power(state, member, change.power, validator_key)


def _check_names(candidacy: Candidacy, change: MemberPut, proofs: list[Possession], node_count: int) -> None:
    """What is wrong with a candidacy by itself."""
    if len({proof.key.kid for proof in proofs}) < len(proofs) or node_count < len(candidacy.nodes):
        raise CHANGE.broken("The candidacy names a key twice.")
    if not is_endpoint(candidacy.endpoint):
        raise CHANGE.broken(f"{candidacy.endpoint!r} is no endpoint in its one form.")
    wrong = next((prefix for prefix in change.prefixes if not is_identifier_prefix(prefix)), None)
    if wrong is not None or len(set(change.prefixes)) < len(change.prefixes):
        raise CHANGE.broken(f"The prefixes are not usable: {wrong or 'one is named twice'}.")
    if not candidacy.name:
        raise CHANGE.broken("The candidate has no name.")


def _admit(state: Overlay, candidacy: Candidacy, proofs: list[Possession]) -> Member:
    claim_name(state, "did", candidacy.did, candidacy.did)
    keys = tuple(proof.key for proof in proofs)
    member = Member(candidacy.did, candidacy.name, candidacy.endpoint, keys, 0)
    state.put_member(member)
    begin_location(state, member.did, candidacy.endpoint)
    for proof in proofs:
        register_key(state, member.did, proof)
        begin_key(state, member.did, proof.key)
    return member


def _replace_keys(state: Overlay, member: Member, candidacy: Candidacy, proofs: list[Possession]) -> Member:
    """The keys of a candidacy in place of a member's."""
    former = [key.kid for key in member.keys if key.kid not in {proof.key.kid for proof in proofs}]
    for proof in proofs:
        member = put_key(state, member, proof)
    for kid in former:
        member = retire_key(state, member, kid)
    return put_endpoint(state, member, candidacy.endpoint)


def _elements(change: MemberPut) -> tuple[str, ...]:
    did = _candidacy(change)[0].did
    return f"member/{did}", f"power/{did}"


def _describe(view: ElementsView, change: MemberPut) -> str:
    candidacy, _ = _candidacy(change)
    member = view.member(candidacy.did)
    verb = "Admit" if member is None else "Replace keys, engines and address of"
    power = f"with voting power {change.power}" if change.power else "without voting power"
    prefixes = (
        f"; identifiers that begin with {', '.join(change.prefixes)} are its" if change.prefixes else ""
    )
    country = f", in {candidacy.country}" if candidacy.country else ""
    return f"{verb} {candidacy.name} ({candidacy.did}{country}) at {candidacy.endpoint}, {power}{prefixes}."


MEMBER_PUT: Final = ChangeKind(
    "member.put", "threshold_member_put_sixtieths", _elements, _apply, _describe, _check
)
