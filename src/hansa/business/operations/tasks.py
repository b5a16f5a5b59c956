"""Task resources carried out: what `cancelProductOrder` does to the order (TMF630 Part 1, chapter 8).

The model of a task resource says what its entities do to those that they refer to (`records.Task`). It is
done in the transaction that creates the task: the feed has the task's creation, the changes, and the task's
new state, or none of it. What a task changes is checked against the rules as any write is. A task that cannot
be carried out (the order is completed, the balance too small, the alarm not here) is stored, changes nothing,
and ends in the failed state of its document with the reason where the document has an attribute for it; tasks
that have no state are refused instead.

A task that is not due yet, and one that refers to nothing that is ours, stays in its initial state: the
marketplace's own systems complete it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final, Protocol

import msgspec

from hansa.business.models import Attribute, Resource
from hansa.business.models.records import Effect, Task
from hansa.business.operations.writes import WriteToReplica
from hansa.core.clock import Clock, rfc3339
from hansa.core.errors import Code, Refused
from hansa.core.instants import instant
from hansa.core.limits import Limits
from hansa.store import Entity, EntityDraft, Filter, Query, Store, Transaction

Fields = dict[str, Any]
REFERENCE: Final = ("id", "href", "name", "@referredType")
"""Attributes of a reference that an entity gets from a task."""


class Updates(Protocol):
    """Changes entities of one collection on behalf of the marketplace."""

    async def amended(self, tx: Transaction, current: Entity, after: Fields) -> EntityDraft:
        """What an entity becomes with that content.

        Raises:
            Refused: The model or a rule does not allow it.
        """

    def address(self, entity_id: str) -> str:
        """Where an entity is served."""


class _Target(msgspec.Struct):
    """An entity that a task changes."""

    current: Entity
    after: Fields


class _Reference(msgspec.Struct, frozen=True):
    value: Any
    holders: tuple[Fields, ...]
    """The objects that it stands in, the innermost first and the task last."""


class Tasks:
    """Carries out the tasks of one resource."""

    def __init__(
        self,
        resource: Resource,
        attributes: Mapping[str, Attribute],
        updates: Mapping[str, Updates],
        store: Store,
        clock: Clock,
        limits: Limits,
        *,
        forwards: bool = False,
    ) -> None:
        """Make them.

        Args:
            resource: The resource of the tasks.
            attributes: Of its type.
            updates: By collection, of all resources of the same API.
            store: For what patterns select.
            clock: For what is due.
            limits: `task_targets_max`, `filter_count_max`.
            forwards: Whether a task about replicas of one origin is refused here, so that it is forwarded.
        """
        assert resource.task is not None, "only task resources have tasks"
        self._task: Task = resource.task
        self._status = resource.status_attribute
        self._attributes = attributes
        self._updates = updates
        self._store = store
        self._clock = clock
        self._limits = limits
        self._forwards = forwards

    async def matched_ids(self, task: Mapping[str, Any]) -> tuple[str, ...]:
        """Identifiers of what the patterns of a task select; before the transaction, since it may search.

        Raises:
            Refused: `Code.INVALID`, when that is too much.
        """
        if self._task.matches is None:
            return ()
        targets_max, ids = self._limits.task_targets_max, list[str]()
        for effect in self._task.effects:
            for reference in _references(task, effect):
                conditions = tuple(_conditions(reference.value))
                if not conditions or len(conditions) > self._limits.filter_count_max:
                    raise Refused(
                        Code.INVALID,
                        f"{effect.about}: a pattern has 1 to {self._limits.filter_count_max} attributes.",
                    )
                query = Query(self._task.matches, conditions, limit=targets_max + 1, public_only=False)
                ids += await self._all_ids(query)
                if len(ids) > targets_max:
                    raise Refused(Code.INVALID, f"The task is about more than {targets_max} entities.")
        return tuple(dict.fromkeys(ids))

    async def _all_ids(self, query: Query) -> list[str]:
        """Identifiers of all entities of a page, of which one answer of the store may have fewer."""
        page = await self._store.list(query)
        ids = [*page.ids]
        while page.is_cut:
            rest = msgspec.structs.replace(query, offset=len(ids), limit=query.limit - len(ids))
            page = await self._store.list(rest)
            ids += page.ids
        return ids

    async def carry_out(self, tx: Transaction, task: Fields, matched_ids: tuple[str, ...] = ()) -> Fields:
        """Do what a new task says; returns the attributes of the task that this changes.

        Raises:
            WriteToReplica: It is forwarded.
            Refused: It cannot be carried out, and tasks of this kind have no state that says so.
        """
        form = self._task
        assert form.matches is not None or not matched_ids, "only patterns select entities"
        if form.due is not None and _is_ahead(task.get(form.due), rfc3339(self._clock.now())):
            return {}
        targets: list[_Target] = []
        try:
            targets = await self._planned(tx, task, matched_ids)
            drafts = [
                await self._updates[target.current.type].amended(tx, target.current, target.after)
                for target in targets
            ]
        except Refused as error:
            if isinstance(error, WriteToReplica) and self._is_forwarded(targets):
                raise
            if form.failed is None or self._status is None:
                raise
            return {self._status: form.failed, **self._reason_of(error)}
        if not targets and form.matches is None:
            return {}
        for draft in drafts:
            await tx.put(draft)
        return self._outcome(task, targets)

    def _is_forwarded(self, targets: list[_Target]) -> bool:
        """Whether a task is for another marketplace: the origin of everything that it changes."""
        return self._forwards and len({target.current.origin for target in targets}) == 1

    async def _planned(self, tx: Transaction, task: Fields, matched_ids: tuple[str, ...]) -> list[_Target]:
        """The entities that a task changes, with their new content."""
        targets: dict[str, _Target] = {}
        for effect in self._task.effects:
            referenced: list[tuple[str, tuple[Fields, ...]]] = [(one, (task,)) for one in matched_ids]
            if self._task.matches is None:
                references = _references(task, effect)
                referenced = [
                    (str(one.value["id"]), one.holders) for one in references if one.value.get("id")
                ]
            if len(referenced) > self._limits.task_targets_max:
                raise Refused(
                    Code.INVALID, f"A task is about at most {self._limits.task_targets_max} entities."
                )
            for entity_id, holders in referenced:
                target = targets.get(entity_id) or await self._target(tx, entity_id)
                if target is not None:
                    targets[entity_id] = target
                    for path, value in effect.sets.items():
                        _set(target.after, path.split("."), value, holders)
        return list(targets.values())

    async def _target(self, tx: Transaction, entity_id: str) -> _Target | None:
        entity = await tx.entity(entity_id)
        if entity is None or entity.type not in self._updates:
            if self._task.failed is None:
                return None  # the unresolved reference is reported as of any write
            raise Refused(Code.NOT_FOUND, f"There is no {entity_id[:300]!r} here that the task can change.")
        return _Target(entity, msgspec.json.decode(entity.body))

    def _outcome(self, task: Fields, targets: list[_Target]) -> Fields:
        form, changes = self._task, Fields()
        if form.done is not None and self._status is not None:
            changes[self._status] = form.done
        if form.completed is not None:
            changes[form.completed] = rfc3339(self._clock.now())
        if form.outcome is not None:
            changes[form.outcome] = [
                {
                    "id": target.current.id,
                    "href": self._updates[target.current.type].address(target.current.id),
                }
                for target in targets
            ]
        if form.items:
            after = msgspec.json.decode(msgspec.json.encode(task))
            for effect in form.effects:
                for reference in _references(after, effect):
                    holders = reference.holders
                    for path, value in form.items.items():
                        if len(holders) > 1 and (
                            type(value) is not dict or _source_value(value, holders) is not None
                        ):
                            _set(holders[0], path.split("."), value, holders)
                name = effect.about.partition(".")[0]
                changes[name] = after[name]
        return changes

    def _reason_of(self, error: Refused) -> Fields:
        name = self._task.reason
        if name is None:
            return {}
        is_text = self._attributes[name].type == "string"
        return {name: error.message if is_text else {"code": str(error.code), "reason": error.message}}


def target_ids(form: Task, task: Mapping[str, Any]) -> frozenset[str]:
    """The identifiers of what a task names and would change."""
    references = (one for effect in form.effects for one in _references(task, effect))
    return frozenset(str(one.value["id"]) for one in references if one.value.get("id"))


def _references(task: Mapping[str, Any], effect: Effect) -> Iterator[_Reference]:
    """What stands at the path of an effect, through arrays, with what it stands in."""
    todo: list[tuple[Any, tuple[str, ...], tuple[Fields, ...]]] = [(task, tuple(effect.about.split(".")), ())]
    while todo:
        value, path, holders = todo.pop()
        if type(value) is list:
            todo += [(item, path, holders) for item in reversed(value)]
        elif type(value) is dict and path:
            todo.append((value.get(path[0]), path[1:], (value, *holders)))
        elif type(value) is dict:
            yield _Reference(value, holders)


def _source_value(value: Mapping[str, str], holders: tuple[Fields, ...]) -> Any:
    """The value that a form like `{from = "…"}` means, from the innermost object that has it."""
    (path,) = value.values()
    for holder in holders:
        current: Any = holder
        for name in path.split("."):
            current = current.get(name) if type(current) is dict else None
        if current is not None:
            return current
    return None


def _set(target: Fields, path: list[str], value: Any, holders: tuple[Fields, ...]) -> None:
    """Set an attribute as an effect says, in each element of the arrays on the way."""
    name, *rest = path
    if rest:
        inner = target.get(name)
        for one in inner if type(inner) is list else [inner]:
            if type(one) is dict:
                _set(one, rest, value, holders)
        return
    if type(value) is not dict:
        target[name] = value
        return
    (kind,) = value
    source = _source_value(value, holders)
    if source is not None:
        target[name] = _KINDS[kind](target.get(name), source)


def _added(current: Any, change: Any, sign: int = 1) -> Fields:
    """A quantity changed by another one (decimal-exact), which must be of the same unit.

    Raises:
        Refused: `Code.CONFLICT`, when the units differ or less than nothing would be left.
    """
    before, added = current or {}, change if type(change) is dict else {"amount": change}
    units = [one["units"] for one in (before, added) if one.get("units") is not None]
    if len(set(units)) > 1:
        raise Refused(Code.CONFLICT, f"The quantity is in {units[0]}, and the task says {units[1]}.")
    available = Decimal(str(before.get("amount", 0)))
    # The documents give a quantity without an amount the amount 1.
    left = available + sign * Decimal(str(added.get("amount", 1)))
    if left < 0:
        raise Refused(Code.CONFLICT, f"There is {available} only, which is not enough.")
    amount = int(left) if left == left.to_integral_value() else float(left)
    return {**before, **({"units": units[0]} if units else {}), "amount": amount}


def _with_references(current: Any, change: Any) -> list[Any]:
    references = list(current or [])
    known = {str(one.get("id")) for one in references}
    added = [one for one in _as_list(change) if str(one.get("id")) not in known]
    return references + [{name: one[name] for name in REFERENCE if name in one} for one in added]


def _without_references(current: Any, change: Any) -> list[Any]:
    removed = {str(one.get("id")) for one in _as_list(change)}
    return [one for one in current or [] if str(one.get("id")) not in removed]


def _as_list(value: Any) -> list[Any]:
    return value if type(value) is list else [value]


_KINDS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "from": lambda _, change: change,
    "add": _added,
    "subtract": lambda current, change: _added(current, change, -1),
    "append": lambda current, change: [*(current or []), change],
    "refer": _with_references,
    "unrefer": _without_references,
}


def _conditions(pattern: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[Filter]:
    for name, value in pattern.items():
        place = (*path, name)
        for one in value if type(value) is list else [value]:
            if type(one) is dict:
                yield from _conditions(one, place)
            elif one is not None and name != "href":
                yield Filter(place, (one if type(one) is str else msgspec.json.encode(one).decode(),))


def _is_ahead(value: Any, now: str) -> bool:
    moment = instant(value) if type(value) is str else None
    return moment is not None and moment > (instant(now) or "")
