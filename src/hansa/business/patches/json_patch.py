"""JSON Patch (RFC 6902): a list of operations, applied one after another, all or none.

Written here because the libraries at hand change what they are given, take `true` for 1 in `test`, and bound
nothing. A document is never changed in place unless this module made the object or array itself: what a path leads
through is copied the first time, the rest is shared with the original.

Two ways to let a small patch make a large document are closed: what `copy` adds is counted while it goes on, since
copies of copies double; size and depth of the result are checked at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, get_args

import msgspec

from hansa.business.patches.pointer import (
    END,
    NoPlace,
    Pointer,
    index_of,
    parse_pointer,
    print_pointer,
    value_at,
)
from hansa.business.validation.validator import Violation, refuse
from hansa.core.bounded_json import is_deeper_than
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits

Op = Literal["add", "remove", "replace", "move", "copy", "test"]

OPS: Final = frozenset(get_args(Op))
WITH_VALUE: Final = frozenset({"add", "replace", "test"})
WITH_FROM: Final = frozenset({"move", "copy"})


class PatchOperation(msgspec.Struct, frozen=True):
    """One operation as it was sent, its form checked."""

    index: int
    """Its place in the patch, from 0."""
    op: Op
    path: str
    source: str = ""
    """`from` of `move` and `copy`."""
    value: Any = None

    def conflict(self, rule: str, member: str = "path") -> Refused:
        """The error for an operation that the document as it stands does not allow (RFC 5789, section 2.2)."""
        value = {"path": self.path, "from": self.source}.get(member, self.value)
        return Refused(Code.CONFLICT, f"{Violation(f'[{self.index}].{member}', rule, value)}.")

    def invalid(self, rule: str, member: str = "path") -> Refused:
        """The error for an operation that is wrong whatever the document."""
        value = {"path": self.path, "from": self.source}.get(member, self.value)
        return Refused(Code.INVALID, f"{Violation(f'[{self.index}].{member}', rule, value)}.")


def operations(patch: Any, limits: Limits) -> list[PatchOperation]:
    """The operations of a patch, in their form (RFC 6902, section 4).

    Raises:
        Refused: `Code.INVALID`, naming operation, member, rule and value.
    """
    if type(patch) is not list:
        refuse([Violation("The body", "must be an array of operations (RFC 6902)", patch)])
    if len(patch) > limits.patch_operations_max:
        refuse(
            [Violation("The body", f"must have at most {limits.patch_operations_max} operations", len(patch))]
        )
    return [_operation(index, item) for index, item in enumerate(patch)]


def _operation(index: int, item: Any) -> PatchOperation:
    at = f"[{index}]"
    if type(item) is not dict:
        refuse([Violation(at, "must be an object", item)])
    op = item.get("op")
    if type(op) is not str or op not in OPS:
        refuse([Violation(f"{at}.op", f"must be one of {', '.join(get_args(Op))}", op)])
    found = [
        Violation(f"{at}.{name}", "must be a string", item.get(name))
        for name in (("path", "from") if op in WITH_FROM else ("path",))
        if type(item.get(name)) is not str
    ]
    if op in WITH_VALUE and "value" not in item:
        found.append(Violation(f"{at}.value", "is required"))
    refuse(found)
    return PatchOperation(index, op, item["path"], item["from"] if op in WITH_FROM else "", item.get("value"))


class Editor:
    """A document that is edited without changing the one it was made from."""

    def __init__(self, document: Any, limits: Limits) -> None:
        self.document = document
        self._limits = limits
        self._own: dict[int, Any] = {}
        """The objects and arrays made here, which nothing else refers to; kept, so that no number is used anew."""
        self._copied = 0

    def add(self, pointer: Pointer, value: Any) -> None:
        """RFC 6902, section 4.1.

        Raises:
            NoPlace: There is no object or array to add to.
        """
        if not pointer:
            self.document = value
            return
        parent, last = self._opened(pointer[:-1]), pointer[-1]
        if type(parent) is dict:
            parent[last] = value
            return
        place = len(parent) if last == END else index_of(last, len(parent) + 1)
        if place is None:
            raise NoPlace(f"leads to nothing: the array has {len(parent)} element(s)")
        parent.insert(place, value)

    def remove(self, pointer: Pointer) -> Any:
        """Section 4.2; what was there.

        Raises:
            NoPlace: There is nothing.
        """
        value = value_at(self.document, pointer)
        if not pointer:
            self.document = None
            return value
        parent, last = self._opened(pointer[:-1]), pointer[-1]
        del parent[last if type(parent) is dict else int(last)]
        return value

    def replace(self, pointer: Pointer, value: Any) -> None:
        """Section 4.3.

        Raises:
            NoPlace: There is nothing to replace.
        """
        value_at(self.document, pointer)
        if not pointer:
            self.document = value
            return
        parent, last = self._opened(pointer[:-1]), pointer[-1]
        parent[last if type(parent) is dict else int(last)] = value

    def move(self, source: Pointer, pointer: Pointer) -> None:
        """Section 4.4.

        Raises:
            NoPlace: There is nothing at the source, or no place at the target.
        """
        self.add(pointer, self.remove(source))

    def copy(self, source: Pointer, pointer: Pointer) -> None:
        """Section 4.5.

        Raises:
            NoPlace: There is nothing at the source, or no place at the target.
            Refused: `Code.TOO_LARGE`.
        """
        value = value_at(self.document, source)
        size_max = self._limits.body_size_max_bytes
        self._copied += _weight(value, size_max - self._copied)
        if self._copied > size_max:
            raise Refused(Code.TOO_LARGE, f"The patch copies more than {size_max} bytes.")
        self._own.clear()  # from now on the copied value is in two places
        self.add(pointer, value)

    def test(self, pointer: Pointer, value: Any) -> bool:
        """Section 4.6.

        Raises:
            NoPlace: There is nothing to compare with.
        """
        return equal(value_at(self.document, pointer), value)

    def _opened(self, pointer: Pointer) -> Any:
        """The object or array at a pointer, made our own with everything on the way to it."""
        current = self.document = self._owned(self.document)
        for depth, token in enumerate(pointer):
            key: str | int | None = token
            if type(current) is list:
                key = index_of(token, len(current))
            if (
                key is None
                or (type(current) is dict and key not in current)
                or type(current) not in {dict, list}
            ):
                raise NoPlace(f"leads to nothing at {print_pointer(pointer[: depth + 1])}")
            child = current[key] = self._owned(current[key])
            current = child
        if type(current) not in {dict, list}:
            raise NoPlace(
                f"leads into {print_pointer(pointer) or 'the whole'}, which is neither object nor array"
            )
        return current

    def _owned(self, value: Any) -> Any:
        if type(value) not in {dict, list} or id(value) in self._own:
            return value
        made = value.copy()
        self._own[id(made)] = made
        return made


def apply_operation(editor: Editor, operation: PatchOperation, source: Pointer, pointer: Pointer) -> None:
    """Apply one operation at the places that its paths mean.

    Raises:
        Refused: `Code.CONFLICT`, when the document has no such place or a test fails; `Code.TOO_LARGE`;
            `Code.INVALID`, when it moves a value into itself.
    """
    steps: dict[str, Callable[[], object]] = {
        "add": lambda: editor.add(pointer, operation.value),
        "remove": lambda: editor.remove(pointer),
        "replace": lambda: editor.replace(pointer, operation.value),
        "move": lambda: editor.move(source, pointer),
        "copy": lambda: editor.copy(source, pointer),
        "test": lambda: editor.test(pointer, operation.value),
    }
    if operation.op == "move" and len(source) < len(pointer) and pointer[: len(source)] == source:
        raise operation.invalid("must not move a value into itself", "from")
    try:
        outcome = steps[operation.op]()
    except NoPlace as error:
        raise operation.conflict(str(error)) from None
    if outcome is False and operation.op == "test":
        raise operation.conflict(f"{print_pointer(pointer) or 'the whole'} must equal it", "value")


def json_patch(target: dict[str, Any], patch: Any, limits: Limits) -> dict[str, Any]:
    """The result of a JSON Patch; neither argument is changed.

    Raises:
        Refused: `Code.INVALID`, `Code.CONFLICT` or `Code.TOO_LARGE`.
    """
    editor = Editor(target, limits)
    for operation in operations(patch, limits):
        pointers = {"path": operation.path, "from": operation.source}
        parsed: dict[str, Pointer] = {}
        for member, text in pointers.items():
            try:
                parsed[member] = parse_pointer(text)
            except ValueError as error:
                raise operation.invalid(str(error), member) from None
        apply_operation(editor, operation, parsed["from"], parsed["path"])
    return checked_result(editor.document, limits)


def checked_result(document: Any, limits: Limits) -> dict[str, Any]:
    """The patched document, when it still is an entity within the limits.

    Raises:
        Refused: `Code.INVALID` or `Code.TOO_LARGE`.
    """
    if type(document) is not dict:
        refuse([Violation("The patched entity", "must be an object", document)])
    if is_deeper_than(document, limits.body_depth_max):
        raise Refused(
            Code.INVALID, f"The patched entity is nested deeper than {limits.body_depth_max} levels."
        )
    if len(msgspec.json.encode(document)) > limits.body_size_max_bytes:
        raise Refused(Code.TOO_LARGE, f"The patched entity has more than {limits.body_size_max_bytes} bytes.")
    result: dict[str, Any] = document
    return result


def equal(one: Any, other: Any) -> bool:
    """Equality of JSON (RFC 6902, section 4.6): numbers by their value, and true is no number."""
    if type(one) is dict and type(other) is dict:
        return one.keys() == other.keys() and all(equal(value, other[name]) for name, value in one.items())
    if type(one) is list and type(other) is list:
        return len(one) == len(other) and all(map(equal, one, other))
    if type(one) is bool or type(other) is bool:
        return one is other
    return bool(one == other)


def _weight(value: Any, stop: int) -> int:
    """About the size of a value in bytes; counting ends soon after `stop`."""
    weight, todo = 0, [value]
    while todo and weight <= stop:
        current = todo.pop()
        if type(current) is dict:
            weight += 2 + sum(map(len, current))
            todo += current.values()
        elif type(current) is list:
            weight += 2
            todo += current
        else:
            weight += len(current) if type(current) is str else 4
    return weight
