"""Why a credential is refused: a code and one sentence for the person, and every step for the operator.

The person who presents a credential reads a sentence of ours that follows from the code alone: nothing that
somebody else wrote is in it. The operator reads what was checked, in order, up to the check that failed, with
the names, times and addresses of others made printable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hansa.core.errors import Code, Refused
from hansa.core.foreign_text import printable

STEPS_MAX: Final = 64

SENTENCES: Final[Mapping[Code, str]] = {
    Code.CREDENTIAL_MALFORMED: "This credential cannot be read: it breaks the rules of its format.",
    Code.CREDENTIAL_ALTERED: "This credential was changed after it was issued, or somebody else signed it.",
    Code.CREDENTIAL_EXPIRED: "This credential has expired: ask its issuer for a new one.",
    Code.CREDENTIAL_NOT_YET_VALID: "This credential is not valid yet.",
    Code.CREDENTIAL_ISSUER_UNTRUSTED: "Whoever issued this credential is not trusted here.",
    Code.CREDENTIAL_TYPE_UNTRUSTED: "The issuer of this credential is not trusted here for credentials like it.",
    Code.CREDENTIAL_REVOKED: "This credential was revoked by its issuer.",
    Code.CREDENTIAL_SUSPENDED: "This credential is suspended by its issuer for the time being.",
    Code.CREDENTIAL_STATUS_UNKNOWN: (
        "Whether this credential was revoked cannot be found out at present: try again later."
    ),
    Code.PRESENTATION_UNBOUND: "The credential was not presented by the one to whom it was issued.",
    Code.PRESENTATION_FOREIGN: "The credential was presented to somebody else, or for another request.",
    Code.PRESENTATION_EXPIRED: "The credential was presented too long ago, or the clock of the wallet is wrong.",
    Code.PRESENTATION_REPLAYED: "The credential was presented in this way before: start again.",
    Code.PRESENTATION_MALFORMED: "The answer of the wallet cannot be read: it breaks the rules of the protocol.",
    Code.CREDENTIAL_NOT_REQUESTED: "This credential is none of those that were requested.",
    Code.POWER_MISSING: "The credential does not give the power that this needs.",
}
"""What the person reads, for each code."""


class Steps:
    """What was checked so far, for the operator. Bounded."""

    def __init__(self) -> None:
        self._steps: list[str] = []

    def note(self, text: str) -> None:
        """Note what a check showed; the words of others may be in it."""
        if len(self._steps) < STEPS_MAX:
            self._steps.append(printable(text))

    @property
    def noted(self) -> tuple[str, ...]:
        """All of them, in order."""
        return tuple(self._steps)


class CredentialRefused(Refused):
    """A credential or a presentation is not accepted.

    Args:
        code: One of `SENTENCES`.
        steps: For the operator: what was checked, and last what failed.
    """

    def __init__(self, code: Code, steps: tuple[str, ...]) -> None:
        super().__init__(code, SENTENCES[code])
        self.steps = steps


def refused_after(steps: Steps, error: Refused) -> CredentialRefused:
    """What somebody reads of an error that ended a verification.

    Args:
        steps: What was checked before.
        error: What failed; its message is for the operator.
    """
    code = error.code if error.code in SENTENCES else Code.CREDENTIAL_MALFORMED
    steps.note(f"{code}: {error.message}")
    return CredentialRefused(code, steps.noted)


def malformed(what: str) -> Refused:
    """The refusal of what breaks the rules of its format; `what` is for the operator."""
    return Refused(Code.CREDENTIAL_MALFORMED, what)
