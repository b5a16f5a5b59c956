"""Distribution policies, as voters enforce them on the events of a batch.

The table is one record; it is compiled when its bytes change. Without a table there is one look-up a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hansa.core.errors import Code
from hansa.core.events import LifecycleEvent
from hansa.core.trust.policies import DISTRIBUTION, POLICIES, compiled_policies
from hansa.pubsub.ledger.results import Rule
from hansa.pubsub.ledger.rules.certificates import certificate_of
from hansa.pubsub.ledger.state import StateView

POLICY: Final = Rule(64, Code.POLICY_REFUSED, "a distribution policy of the league refuses the event")
POLICY_RULES: Final = (POLICY,)


def check_policies(state: StateView, events: Sequence[LifecycleEvent], kid: str) -> None:
    """Check that the league's policies allow the events of a batch.

    Args:
        state: Has the table.
        events: Of one issuer, a member.
        kid: Name of the key that signed the batch.

    Raises:
        RuleBroken: `POLICY`, saying why.
    """
    body = state.record(POLICIES, DISTRIBUTION)
    if body is None:
        return
    policies = compiled_policies(body)
    for event in events:
        refusal = policies.refusal(event, lambda: roles_of(state, events[0].issuer, kid))
        if refusal is not None:
            raise POLICY.broken(refusal)


def roles_of(state: StateView, did: str, kid: str) -> frozenset[str]:
    """What an issuer is in the league, by the names that rows have for it."""
    member = state.member(did)
    certificate = certificate_of(state, did, kid)
    is_certified = certificate is not None and certificate.is_valid_at(state.time_ms)
    return frozenset(
        {
            "validator" if member is not None and member.power > 0 else "observer",
            "certified" if is_certified else "uncertified",
        }
    )
