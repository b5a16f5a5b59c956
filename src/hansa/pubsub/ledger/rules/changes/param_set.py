"""`param.set`: another value of a limit of the league. No value may make governance itself impossible."""

from __future__ import annotations

from typing import Final

import msgspec

from hansa.core.errors import Refused
from hansa.core.governance.changes import ParamSet
from hansa.pubsub.ledger.genesis import PARAMETERS, LedgerParams, holds_largest_transaction
from hansa.pubsub.ledger.rules.changes.elements import ElementsView
from hansa.pubsub.ledger.rules.changes.kind import ChangeKind
from hansa.pubsub.ledger.rules.governance.refusals import CHANGE
from hansa.pubsub.ledger.state import Overlay

TRANSACTION_SIZE_MIN_BYTES: Final = 8192
"""Below it no proposal would fit that sets it higher again."""


def _apply(state: Overlay, change: ParamSet) -> None:
    if change.name not in LedgerParams.__struct_fields__:
        raise CHANGE.broken(f"There is no limit {change.name}.")
    params = msgspec.structs.replace(state.params, **{change.name: change.value})
    try:
        PARAMETERS.check(params)
    except Refused as error:
        raise CHANGE.broken(f"{change.name} cannot be {change.value}.") from error
    is_usable = (
        holds_largest_transaction(params)
        and params.transaction_size_max_bytes >= TRANSACTION_SIZE_MIN_BYTES
        and params.event_size_max_bytes <= params.transaction_size_max_bytes
    )
    if not is_usable:
        raise CHANGE.broken(f"{change.name} = {change.value} contradicts the other limits.")
    state.put_params(params)


def _describe(view: ElementsView, change: ParamSet) -> str:
    before = getattr(view.params, change.name, "nothing")
    return f"{change.name} changes from {before} to {change.value}."


PARAM_SET: Final = ChangeKind(
    "param.set", "threshold_param_sixtieths", lambda change: (f"param/{change.name}",), _apply, _describe
)
