"""Transactions of kind `member`: `{"kind":"member","statement":"<JWS>"}`, a member about itself.

Nothing of it needs anybody's vote, and nothing of it touches what votes decide: no power is gained, no
proposal becomes void, except by leaving.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from hansa.core.errors import Refused
from hansa.core.governance.possession import KeyUse, Possession, node_id_of, read_possession
from hansa.core.governance.statements import (
    ACTION_FORMS,
    AgreementSet,
    EndpointSet,
    KeyRevoke,
    KeyRotate,
    Leave,
    MemberStatement,
    NodesSet,
    UpgradeReady,
    read_statement,
)
from hansa.core.jws import CompactJws
from hansa.core.members import Member
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger.rules.certificates import CERTIFICATE_RULES
from hansa.pubsub.ledger.rules.governance import refusals
from hansa.pubsub.ledger.rules.governance.agenda import AT_HEIGHT, schedule
from hansa.pubsub.ledger.rules.governance.membership import (
    begin_leaving,
    current_member,
    put_endpoint,
    put_nodes,
    retire_key,
    rotate_key,
)
from hansa.pubsub.ledger.rules.governance.senders import Signed
from hansa.pubsub.ledger.rules.governance.signed_kind import SignedPayload, SignedStep, signed_kind
from hansa.pubsub.ledger.rules.kind import CheckContext
from hansa.pubsub.ledger.rules.upgrades import READY_FORM, StatedRelease
from hansa.pubsub.ledger.rules.upgrades import SECTION as UPGRADES_SECTION
from hansa.pubsub.ledger.state import Overlay


def _signed(statement: MemberStatement, compact: str, parts: CompactJws) -> Signed:
    return Signed(statement.member, statement.seq, statement.league, compact, parts)


def _check_size(compact: str, params: LedgerParams) -> None:
    if len(compact) > params.proposal_size_max_bytes:
        raise refusals.PROPOSAL_SIZE.broken(
            f"The statement has {len(compact)} bytes; {params.proposal_size_max_bytes} are allowed."
        )


def _proof(statement: MemberStatement, compact: str, use: KeyUse) -> tuple[Possession, CompactJws]:
    try:
        return read_possession(compact, statement.member, statement.league, use)
    except Refused as error:
        raise refusals.POSSESSION.broken(error.message) from error


def _check_proofs(statement: MemberStatement, context: CheckContext) -> None:
    action = statement.action
    proofs: tuple[tuple[str, KeyUse], ...] = ()
    if isinstance(action, KeyRotate):
        proofs = ((action.proof, "signing"),)
    elif isinstance(action, NodesSet):
        proofs = tuple((text, "node") for text in action.nodes)
    for text, use in proofs:
        proof, parts = _proof(statement, text, use)
        try:
            context.signatures.verify(text, parts, proof.key)
        except Refused as error:
            raise refusals.POSSESSION.broken(error.message) from error


def _rotate(state: Overlay, member: Member, statement: MemberStatement, action: KeyRotate) -> None:
    proof, _ = _proof(statement, action.proof, "signing")
    rotate_key(state, member, proof, action.replaces, action.overlap_s)


def _revoke(state: Overlay, member: Member, statement: MemberStatement, action: KeyRevoke) -> None:
    del statement
    retire_key(state, member, action.kid)


def _set_agreement(state: Overlay, member: Member, statement: MemberStatement, action: AgreementSet) -> None:
    del statement
    state.put_member(msgspec.structs.replace(member, agreement_key=action.key))


def _set_endpoint(state: Overlay, member: Member, statement: MemberStatement, action: EndpointSet) -> None:
    del statement
    put_endpoint(state, member, action.endpoint)


def _set_nodes(state: Overlay, member: Member, statement: MemberStatement, action: NodesSet) -> None:
    proofs = [_proof(statement, text, "node")[0] for text in action.nodes]
    nodes = {node_id_of(proof.key): proof.key for proof in proofs}
    if len(nodes) < len(proofs):
        raise refusals.CHANGE.broken("An engine is named twice.")
    put_nodes(state, member, nodes)


def _leave(state: Overlay, member: Member, statement: MemberStatement, action: Leave) -> None:
    del statement, action
    begin_leaving(state, member, "left")
    schedule(state, AT_HEIGHT, state.height + 1, "tally", "")


def _note_ready(state: Overlay, member: Member, statement: MemberStatement, action: UpgradeReady) -> None:
    del statement
    body = READY_FORM.write(StatedRelease(action.ruleset, action.version))
    state.put_record(UPGRADES_SECTION, member.did, body)


_EFFECTS: Final[Mapping[str, Callable[[Overlay, Member, MemberStatement, Any], None]]] = {
    "agreement.set": _set_agreement,
    "endpoint.set": _set_endpoint,
    "key.revoke": _revoke,
    "key.rotate": _rotate,
    "leave": _leave,
    "nodes.set": _set_nodes,
    "upgrade.ready": _note_ready,
}
assert _EFFECTS.keys() == ACTION_FORMS.keys(), "an action has a form and an effect"


def _check(state: Overlay, step: SignedStep, context: CheckContext) -> None:
    statement: MemberStatement = step.payload
    _check_proofs(statement, context)
    _carry_out(state.upper(), statement)


def _apply(state: Overlay, step: SignedStep) -> None:
    _carry_out(state, step.payload)


def _carry_out(state: Overlay, statement: MemberStatement) -> None:
    member = current_member(state, statement.member)
    _EFFECTS[statement.action.kind](state, member, statement, statement.action)


STATEMENT: Final = signed_kind(
    SignedPayload("member", "statement", read_statement, _signed, _check_size),
    rules=(refusals.PROPOSAL_SIZE, *refusals.CHANGE_RULES, *CERTIFICATE_RULES),
    check=_check,
    apply=_apply,
)
"""The kind `member`."""


def encode_statement(compact: str) -> bytes:
    """The transaction with a statement's JWS."""
    return STATEMENT.write(statement=compact)
