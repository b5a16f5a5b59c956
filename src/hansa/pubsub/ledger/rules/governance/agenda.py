"""What happens at a height or a time by itself.

A task is a record under its height or time, so that a block looks at those alone that are due. A task
that was overtaken (a suspension that was lifted) does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from hansa.pubsub.ledger.commitments.governance import AgendaRecord, Task
from hansa.pubsub.ledger.rules.governance.tables import TASKS
from hansa.pubsub.ledger.state import Overlay

_DIGITS: Final = 16

AT_HEIGHT: Final = "height/"
AT_TIME: Final = "time/"


def schedule(state: Overlay, scale: str, at: int, task: Task, subject: str) -> None:
    """Let a task happen at the begin of the first block of at least that height, or time in milliseconds.

    Args:
        state: Gets the task.
        scale: `AT_HEIGHT` or `AT_TIME`.
        at: Height or time.
        task: What happens.
        subject: To what.
    """
    assert scale in {AT_HEIGHT, AT_TIME}, "a task has a height or a time"
    TASKS.put(state, f"{scale}{at:0{_DIGITS}}/{task}/{subject}", AgendaRecord(subject, task))


def run_due(state: Overlay, tasks: Mapping[Task, Callable[[Overlay, str], None]]) -> None:
    """Carry out what is due, in order of height and then of time."""
    for key in _due(state):
        record = TASKS.get(state, key)
        assert record is not None, "a task is carried out once"
        TASKS.remove(state, key)
        tasks[record.task](state, record.subject)


def _due(state: Overlay) -> tuple[str, ...]:
    due: list[str] = []
    present = {AT_HEIGHT: state.height, AT_TIME: state.time_ms}
    for key in state.records(TASKS.section):
        scale = AT_HEIGHT if key.startswith(AT_HEIGHT) else AT_TIME
        if int(key[len(scale) : len(scale) + _DIGITS]) <= present[scale]:
            due.append(key)
        elif scale == AT_TIME:
            break
    return tuple(due)
