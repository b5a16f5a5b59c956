"""JSON Patch (RFC 6902): a list of operations, applied one after another, all or none.

Written here because the available libraries change their arguments, treat `true` as 1 in `test`, and have no
limits. A document is never changed in place unless this module made the object or array itself: what is on a
path is copied the first time, the rest is shared with the original.

Two ways in which a small patch could make a large document are closed: the size that `copy` adds is counted
meanwhile, since copies of copies double; size and depth of the result are checked at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, get_args

import msgspec

from hansa.business.patches.pointer import (
    END,
    PathNotFound,
    Pointer,
    index_of,
    parse_pointer,
    print_pointer,
    value_at,
)
from hansa.business.validation.violations import Violation, refuse
from hansa.core.bounded_json import is_deeper_than
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits

Op = Literal["add", "remove", "replace", "move", "copy", "test"]

OPS: Final = frozenset(get_args(Op))
WITH_VALUE: Final = frozenset({"add", "replace", "test"})
WITH_FROM: Final = frozenset({"move", "copy"})


class PatchOperation(msgspec.Struct, frozen=True):
    """One operation of a patch, its form checked."""

    index: int
    """Within the patch, from 0."""
    op: Op
    path: str
    source: str = ""
    """`from` of `move` and `copy`."""
    value: Any = None

    def conflict(self, rule: str, member: str = "path") -> Refused:
        """The error for an operation that the current document does not allow (RFC 5789, section 2.2)."""
        value = {"path": self.path, "from": self.source}.get(member, self.value)
        return Refused(Code.CONFLICT, f"{Violation(f'[{self.index}].{member}', rule, value)}.")

    def invalid(self, rule: str, member: str = "path") -> Refused:
        """The error for an operation that is invalid for every document."""
        value = {"path": self.path, "from": self.source}.get(member, self.value)
        return Refused(Code.INVALID, f"{Violation(f'[{self.index}].{member}', rule, value)}.")


def operations(patch: Any, limits: Limits) -> list[PatchOperation]:
    """The operations of a patch, their form checked (RFC 6902, section 4).

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
    violations = [
        Violation(f"{at}.{name}", "must be a string", item.get(name))
        for name in (("path", "from") if op in WITH_FROM else ("path",))
        if type(item.get(name)) is not str
    ]
    if op in WITH_VALUE and "value" not in item:
        violations.append(Violation(f"{at}.value", "is required"))
    refuse(violations)
    return PatchOperation(index, op, item["path"], item["from"] if op in WITH_FROM else "", item.get("value"))


class Editor:
    """A document that is edited without changing the one it was made from."""

    def __init__(self, document: Any, limits: Limits) -> None:
        self.document = document
        self._limits = limits
        self._own: dict[int, Any] = {}
        """By `id`, the objects and arrays made here, to which nothing else refers; no `id` is reused
        meanwhile."""
        self._copied = 0

    def add(self, pointer: Pointer, value: Any) -> None:
        """RFC 6902, section 4.1.

        Raises:
            PathNotFound: There is no object or array to add to.
        """
        if not pointer:
            self.document = value
            return
        parent, last = self._editable_at(pointer[:-1]), pointer[-1]
        if type(parent) is dict:
            parent[last] = value
            return
        index = len(parent) if last == END else index_of(last, len(parent) + 1)
        if index is None:
            raise PathNotFound(f"leads to nothing: the array has {len(parent)} element(s)")
        parent.insert(index, value)

    def remove(self, pointer: Pointer) -> Any:
        """Section 4.2; returns the removed value.

        Raises:
            PathNotFound: The pointer leads to nothing.
        """
        value = value_at(self.document, pointer)
        if not pointer:
            self.document = None
            return value
        parent, last = self._editable_at(pointer[:-1]), pointer[-1]
        del parent[last if type(parent) is dict else int(last)]
        return value

    def replace(self, pointer: Pointer, value: Any) -> None:
        """Section 4.3.

        Raises:
            PathNotFound: There is nothing to replace.
        """
        value_at(self.document, pointer)
        if not pointer:
            self.document = value
            return
        parent, last = self._editable_at(pointer[:-1]), pointer[-1]
        parent[last if type(parent) is dict else int(last)] = value

    def move(self, source: Pointer, pointer: Pointer) -> None:
        """Section 4.4.

        Raises:
            PathNotFound: The source does not exist, or there is nothing to add to.
        """
        self.add(pointer, self.remove(source))

    def copy(self, source: Pointer, pointer: Pointer) -> None:
        """Section 4.5.

        Raises:
            PathNotFound: The source does not exist, or there is nothing to add to.
            Refused: `Code.TOO_LARGE`.
        """
        value = value_at(self.document, source)
        size_max = self._limits.body_size_max_bytes
        self._copied += _approximate_size_bytes(value, size_max - self._copied)
        if self._copied > size_max:
            raise Refused(Code.TOO_LARGE, f"The patch copies more than {size_max} bytes.")
        self._own.clear()  # from now on the copied value is shared
        self.add(pointer, value)

    def test(self, pointer: Pointer, value: Any) -> bool:
        """Section 4.6.

        Raises:
            PathNotFound: There is nothing to compare with.
        """
        return is_equal(value_at(self.document, pointer), value)

    def _editable_at(self, pointer: Pointer) -> Any:
        """The object or array at a pointer, copied with everything on the path to it."""
        current = self.document = self._editable(self.document)
        for depth, token in enumerate(pointer):
            key: str | int | None = token
            if type(current) is list:
                key = index_of(token, len(current))
            if (
                key is None
                or (type(current) is dict and key not in current)
                or type(current) not in {dict, list}
            ):
                raise PathNotFound(f"leads to nothing at {print_pointer(pointer[: depth + 1])}")
            child = current[key] = self._editable(current[key])
            current = child
        if type(current) not in {dict, list}:
            raise PathNotFound(
                f"leads into {print_pointer(pointer) or 'the whole'}, which is neither object nor array"
            )
        return current

    def _editable(self, value: Any) -> Any:
        if type(value) not in {dict, list} or id(value) in self._own:
            return value
        copied = value.copy()
        self._own[id(copied)] = copied
        return copied


def apply_operation(editor: Editor, operation: PatchOperation, source: Pointer, pointer: Pointer) -> None:
    """Apply one operation at the given pointers.

    Raises:
        Refused: `Code.CONFLICT`, when a pointer leads to nothing or a test fails; `Code.TOO_LARGE`;
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
    except PathNotFound as error:
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
    """The patched document, which must still be an entity within the limits.

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


def is_equal(one: Any, other: Any) -> bool:
    """Equality of JSON (RFC 6902, section 4.6): numbers by value, and `true` is no number."""
    if type(one) is dict and type(other) is dict:
        return one.keys() == other.keys() and all(is_equal(value, other[name]) for name, value in one.items())
    if type(one) is list and type(other) is list:
        return len(one) == len(other) and all(map(is_equal, one, other))
    if type(one) is bool or type(other) is bool:
        return one is other
    return bool(one == other)


def _approximate_size_bytes(value: Any, stop: int) -> int:
    """Approximately the size of a value in bytes; counting ends soon after `stop`."""
    size, todo = 0, [value]
    while todo and size <= stop:
        current = todo.pop()
        if type(current) is dict:
            size += 2 + sum(map(len, current))
            todo += current.values()
        elif type(current) is list:
            size += 2
            todo += current
        else:
            size += len(current) if type(current) is str else 4
    return size
