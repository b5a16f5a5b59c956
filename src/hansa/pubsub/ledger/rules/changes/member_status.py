"""`member.status` and `suspension`: whether a member may publish, and whether it is one."""

from __future__ import annotations

from typing import Final

from hansa.core.governance.changes import MemberStatusChange, Suspension
from hansa.pubsub.ledger.rules.changes.elements import ElementsView
from hansa.pubsub.ledger.rules.changes.kind import ChangeKind
from hansa.pubsub.ledger.rules.governance.membership import (
    begin_leaving,
    current_member,
    set_status,
    suspend_for,
)
from hansa.pubsub.ledger.state import Overlay


def _apply_status(state: Overlay, change: MemberStatusChange) -> None:
    member = current_member(state, change.did)
    if change.status == "removed":
        begin_leaving(state, member, "removed")
    else:
        set_status(state, member, change.status)


def _apply_suspension(state: Overlay, change: Suspension) -> None:
    suspend_for(state, current_member(state, change.did), change.duration_s)


def _name(view: ElementsView, did: str) -> str:
    member = view.member(did)
    return did if member is None else f"{member.name} ({did})"


def _describe_status(view: ElementsView, change: MemberStatusChange) -> str:
    texts = {
        "active": "may publish again",
        "removed": "loses its voting power and then its membership",
        "suspended": "may publish nothing until a vote allows it again; its voting power stays",
    }
    return f"{_name(view, change.did)} {texts[change.status]}."


def _describe_suspension(view: ElementsView, change: Suspension) -> str:
    return f"{_name(view, change.did)} may publish nothing for {change.duration_s} seconds (emergency)."


MEMBER_STATUS: Final = ChangeKind(
    "member.status",
    "threshold_member_status_sixtieths",
    lambda change: (
        (f"member/{change.did}", f"power/{change.did}")
        if change.status == "removed"
        else (f"member/{change.did}",)
    ),
    _apply_status,
    _describe_status,
)
SUSPENSION: Final = ChangeKind(
    "suspension",
    "threshold_suspension_sixtieths",
    lambda change: (f"member/{change.did}",),
    _apply_suspension,
    _describe_suspension,
)
