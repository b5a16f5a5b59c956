"""Changing own entities: what will be done, one after the other, and what came of it.

A change is asked for on one page, confirmed on the next, and what came of it is on a third one, which can be
loaded again without doing anything again. ChangeOutcomes are in memory for a while, for whoever caused them.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import msgspec

from hansa.core.access import Caller
from hansa.core.base64url import to_base64url
from hansa.core.cache import Cache
from hansa.core.errors import Code, HansaError, Refused
from hansa.core.identifiers import Entropy
from hansa.portal.frame.acts import Act, Acts, carry_out
from hansa.portal.providers.offers.own import CHANGE_ACTIONS, ChangeAction, OwnCatalogue, OwnEntity

CHANGED_MAX: Final = 100
"""Entities that are changed at once."""
OUTCOMES_MAX: Final = 512
TOKEN_SIZE_BYTES: Final = 16


class Intended(msgspec.Struct, frozen=True):
    """An entity that is to be changed."""

    entity: OwnEntity
    obstacle: str = ""
    """Why that will not be possible, as a sentence; empty: nothing speaks against it."""
    is_wrong_state: bool = False
    """Its state does not allow it."""


class ConfirmPage(msgspec.Struct, frozen=True):
    """For the template `providers/confirm.html`."""

    action: ChangeAction
    items: tuple[Intended, ...]
    unknown: tuple[str, ...]
    """Identifiers under which nothing is here."""

    @property
    def possible(self) -> tuple[Intended, ...]:
        """Those with which it can be done."""
        return tuple(one for one in self.items if not one.obstacle and not one.is_wrong_state)


class ChangeOutcome(msgspec.Struct, frozen=True):
    """What came of the change of an entity."""

    id: str
    name: str
    code: str = ""
    """Why it was not changed; empty: it was."""
    message: str = ""
    """A sentence with that."""


class ChangeOutcomes(msgspec.Struct, frozen=True):
    """What came of a change."""

    subject: str
    """Who caused it."""
    action: ChangeAction
    items: tuple[ChangeOutcome, ...]


class OutcomePage(msgspec.Struct, frozen=True):
    """For the template `providers/outcome.html`."""

    action: ChangeAction | None
    """None: the outcomes are not here any more."""
    items: tuple[ChangeOutcome, ...] = ()

    @property
    def done(self) -> int:
        """How many were changed."""
        return sum(1 for one in self.items if not one.code)


class OwnChanges:
    """Prepares changes, carries them out, and has what came of them.

    Args:
        catalogue: What is changed.
        acts: Records who changes what.
        entropy: For the names of outcomes.
    """

    def __init__(self, catalogue: OwnCatalogue, acts: Acts, entropy: Entropy) -> None:
        self._catalogue = catalogue
        self._acts = acts
        self._entropy = entropy
        self.cache: Final[Cache[str, ChangeOutcomes]] = Cache("provider_outcomes", OUTCOMES_MAX)

    async def intended(self, caller: Caller, action: ChangeAction, ids: tuple[str, ...]) -> ConfirmPage:
        """What a change would be.

        Raises:
            Unavailable: The store does not answer now.
        """
        items: list[Intended] = []
        unknown: list[str] = []
        for each in ids:
            try:
                entity = await self._catalogue.one(caller, each)
                is_wrong_state = action not in entity.actions
                obstacle = "" if is_wrong_state else await self._catalogue.refusal(caller, action, each)
            except Refused:
                unknown.append(each)
                continue
            items.append(Intended(entity, obstacle, is_wrong_state))
        return ConfirmPage(action, tuple(items), tuple(unknown))

    async def apply(self, caller: Caller, action: ChangeAction, versions: tuple[tuple[str, str], ...]) -> str:
        """Change entities one after the other; the name of the outcomes.

        Args:
            caller: Who changes them.
            action: How.
            versions: Their identifiers, each with the version that was seen.
        """
        items = [await self._one(caller, action, each, version) for each, version in versions]
        token = to_base64url(self._entropy(TOKEN_SIZE_BYTES))
        self.cache.put(token, ChangeOutcomes(caller.subject or "", action, tuple(items)))
        return token

    def outcome(self, caller: Caller, token: str) -> OutcomePage:
        """What came of a change, for whoever caused it."""
        known = self.cache.get(token)
        if known is None or known.subject != (caller.subject or ""):
            return OutcomePage(None)
        return OutcomePage(known.action, known.items)

    async def _one(self, caller: Caller, action: ChangeAction, entity_id: str, version: str) -> ChangeOutcome:
        name = entity_id
        try:
            name = (await self._catalogue.one(caller, entity_id)).name
            deed = partial(self._catalogue.change, caller, action, entity_id, version)
            await carry_out(self._acts, caller, Act(f"entity-{action}", entity_id), deed)
        except HansaError as error:
            return ChangeOutcome(entity_id, name, str(error.code), error.message)
        return ChangeOutcome(entity_id, name)


def change_action(text: str) -> ChangeAction:
    """The change that a text names.

    Raises:
        Refused: `Code.INVALID`.
    """
    for one in CHANGE_ACTIONS:
        if one == text:
            return one
    raise Refused(Code.INVALID, f"action is one of {', '.join(CHANGE_ACTIONS)}.")


def picked(values: tuple[str, ...]) -> tuple[str, ...]:
    """What was picked, each once.

    Raises:
        Refused: `Code.INVALID`: nothing, or too much.
    """
    ids = tuple(dict.fromkeys(value for value in values if value))
    if not ids:
        raise Refused(Code.INVALID, "Nothing is picked: tick what is to be changed.")
    if len(ids) > CHANGED_MAX:
        raise Refused(Code.INVALID, f"{CHANGED_MAX} entities are changed at once at most.")
    return ids


def versions_in(values: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Identifiers with the versions that were seen, from fields of the form `VERSION IDENTIFIER`.

    Raises:
        Refused: `Code.INVALID`.
    """
    pairs = []
    for value in picked(values):
        version, _, entity_id = value.partition(" ")
        if not version or not entity_id:
            raise Refused(Code.INVALID, "The form is not the one of this page.")
        pairs.append((entity_id, version))
    return tuple(pairs)
