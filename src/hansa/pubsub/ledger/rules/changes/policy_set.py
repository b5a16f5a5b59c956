"""`policy.set`: the whole table of distribution policies."""

from __future__ import annotations

from typing import Final

from hansa.core.trust.changes import PolicySet
from hansa.core.trust.policies import DISTRIBUTION, POLICIES, POLICY_TABLE, PolicyRow, PolicyTable
from hansa.pubsub.ledger.rules.changes.elements import ElementsView
from hansa.pubsub.ledger.rules.changes.kind import ChangeKind
from hansa.pubsub.ledger.rules.governance.refusals import CHANGE
from hansa.pubsub.ledger.state import Overlay


def _set(state: Overlay, change: PolicySet) -> None:
    if any(row.action == "refuse" and (row.labels or row.certificate) for row in change.rows):
        raise CHANGE.broken("A row that refuses demands neither labels nor a certificate.")
    body = POLICY_TABLE.write(PolicyTable(change.rows)) if change.rows else None
    state.put_record(POLICIES, DISTRIBUTION, body)


def _describe(view: ElementsView, change: PolicySet) -> str:
    body = view.record(POLICIES, DISTRIBUTION)
    before = 0 if body is None else len(POLICY_TABLE.read(body).rows)
    if not change.rows:
        return (
            f"Allow everything to be published: the {before} rows of the distribution policies are dropped."
        )
    rows = "; ".join(f"{number}. {_described(row)}" for number, row in enumerate(change.rows, start=1))
    return f"Publish by these rules, the first that applies, in place of {before}: {rows}."


def _described(row: PolicyRow) -> str:
    """A row in words."""
    what = ", ".join(row.types) or "everything"
    who = ", ".join((*row.roles, *row.issuers)) or "all members"
    demands = [
        *(["a certificate of the key"] if row.certificate else []),
        *([f"one of the labels {', '.join(row.labels)}"] if row.labels else []),
    ]
    condition = f" with {' and '.join(demands)}, and not otherwise" if demands else ""
    return f"{row.action} {what} of {who}{condition}"


POLICY_SET: Final = ChangeKind(
    "policy.set", "threshold_policy_sixtieths", lambda _: (f"policy/{DISTRIBUTION}",), _set, _describe
)
