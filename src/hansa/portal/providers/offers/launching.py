"""What keeps an entity from being published, condition by condition."""

from __future__ import annotations

from typing import Literal

import msgspec

ConditionKind = Literal["right", "status", "content", "need", "visibility", "rule", "identifier", "period"]
"""The person's powers; the state that it is in; the model of its type and the rules of its references; other
entities that it needs; who is to see it; rules of the operator; its identifier; when it is valid."""


LaunchReason = Literal["absent", "begins", "chosen", "ended", "here", "last", "next", "private"]
"""Another entity is not here; it is valid from a moment on; it is for some; it was valid until a moment; it
is for this marketplace; nothing follows its state; others come before; another entity is not launched."""


class LaunchCondition(msgspec.Struct, frozen=True):
    """A condition of publishing an entity everywhere."""

    kind: ConditionKind
    is_met: bool
    is_required: bool = True
    """Without it there is no launch; otherwise it is launched, and others may not see it, or not now."""
    subject: str = ""
    """Identifier of the entity that it is about, when it is about another one."""
    detail: str = ""
    """A sentence, in the words of the model, with what to do."""
    reason: LaunchReason | None = None
    """What the sentence says, for pages in other languages; None: the sentence alone says it."""
    value: str = ""
    """The state, or the moment, that the reason is about."""
    following: tuple[str, ...] = ()
    """States that can follow."""
