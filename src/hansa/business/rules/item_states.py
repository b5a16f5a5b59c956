"""The state of an order and those of its items: one does not end without the other.

When the items reach their ends, the order does: completed, failed, cancelled or rejected when all are, and
partial when they differ. When an order ends as a whole, as the systems of many marketplaces do it, its items
end with it (`follow`); where the operator chose `decide`, it is refused while one of them has not ended.
"""

from __future__ import annotations

from typing import Any, Final

from hansa.business.models import Lifecycle, Models, Resource
from hansa.core.errors import Code, Refused
from hansa.core.policies import ItemStates

Fields = dict[str, Any]

PARTIAL: Final = "partial"
"""State of an order whose items ended in different ways, where its machine has it."""


class ItemStateRules:
    """Keeps the states of one resource and of its items together."""

    def __init__(self, resource: Resource, models: Models, policy: ItemStates) -> None:
        self._status = resource.status_attribute
        self._lifecycle = models.lifecycle(resource)
        self._policy = policy
        self._items = tuple(
            (items.path, items.status, models.named_lifecycle(items.lifecycle))
            for items in (self._lifecycle.items if self._lifecycle is not None else ())
        )

    def apply(self, before: Fields, after: Fields) -> None:
        """Set, in place, the states that follow from those a write sets (`before` is empty for a new one).

        Raises:
            Refused: `Code.TRANSITION_REFUSED`, when an order ends before its items, and they decide.
        """
        if not self._items or self._status is None or self._lifecycle is None:
            return
        state = after.get(self._status)
        for path, status, lifecycle in self._items:
            items = after.get(path)
            if type(items) is not list or not all(type(item) is dict for item in items):
                continue
            if state != before.get(self._status):
                if type(state) is str and lifecycle.is_final(state):
                    self._end_items(path, status, lifecycle, items, state)
            elif items and before and items != before.get(path):
                derived = self._derived(lifecycle, [item.get(status) for item in items])
                if derived is not None and type(state) is str and self._lifecycle.allows(state, derived):
                    after[self._status] = derived

    def _end_items(
        self, path: str, status: str, lifecycle: Lifecycle, items: list[Fields], state: str
    ) -> None:
        for index, item in enumerate(items):
            current = item.get(status)
            if type(current) is str and not lifecycle.is_final(current):
                if self._policy == "decide":
                    raise Refused(
                        Code.TRANSITION_REFUSED,
                        f"{self._status} cannot become “{state}” while {path}[{index}].{status} is “{current[:60]}”: "
                        "the state follows the items.",
                    )
                item[status] = lifecycle.spelling_of(state) or state

    def _derived(self, lifecycle: Lifecycle, states: list[object]) -> str | None:
        """The state of an order whose items have these states; None while one has not ended."""
        ended = {lifecycle.spelling_of(one) for one in states if type(one) is str and lifecycle.is_final(one)}
        if not all(type(one) is str and lifecycle.is_final(one) for one in states) or self._lifecycle is None:
            return None
        state = ended.pop() if len(ended) == 1 else PARTIAL
        return self._lifecycle.spelling_of(state) if state is not None else None
