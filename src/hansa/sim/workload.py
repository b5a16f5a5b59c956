"""Carries out the steps of a plan: what clients and operators do, and what goes wrong around them.

What a client was answered is remembered: a write that was acknowledged has happened, one that was refused has
not, and of one without an answer nobody knows. Every write of an entity has a number that only grows, so that
it can be seen in any copy of the entity which write that is.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from hansa.core.clock import Clock
from hansa.core.http import HttpResponse
from hansa.sim.members.member import SimulatedMember
from hansa.sim.oracle import CATALOGUE_TYPES, PUBLIC_STATUSES
from hansa.sim.plan import TYPES
from hansa.sim.violation import ViolationError, require
from hansa.sim.world.exchange import exchange

CATALOG: Final = "/tmf-api/productCatalogManagement/v4"
PATHS: Final = {
    "ProductOffering": f"{CATALOG}/productOffering",
    "ProductSpecification": f"{CATALOG}/productSpecification",
    "Category": f"{CATALOG}/category",
    "ProductOrder": "/tmf-api/productOrderingManagement/v4/productOrder",
}
NUMBERED: Final = {"ProductOrder": "description"}
"""Where an entity has the number of the write that made it what it is; else in its name."""
ORDERS: Final = 400
"""Slots from here on have orders, and those from `PRIVATE` on have identifiers that are not chosen."""
FLEETING: Final = 1000
"""Slots after this one have entities that live shortly."""
PRIVATE: Final = 300
SECRET: Final = re.compile(rb"secret-[0-9a-f]{24}")
"""What stands in an entity while it is for some members alone."""
PUBLIC_FIELDS: Final = {"visibleTo": ["everyone"], "description": "for everyone"}
"""What is written into an entity that everybody may have again."""
ORDER_FIELDS: Final = ("category", "relatedParty")
"""What is changed of orders, beside their numbers."""
CLIENT: Final = {"authorization": "Bearer ada:provider"}
RESYNC: Final = "/league/v1/resync"
LOST: Final = "/league/v1/lost"
REPLICAS: Final = "/league/v1/replicas"
OPERATOR: Final = {"authorization": "Bearer otto:operator", "content-type": "application/json"}
JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"
ANSWER_MAX_S: Final = 40.0
"""How long a client waits."""
REPETITIONS_MAX: Final = 60
TAKING_BACK_MAX: Final = 60
TAKING_BACK_PAUSE_S: Final = 70.0
"""Longer than members that failed are left alone."""
DELETED_AFTER_RESTORATION: Final = 0.25
"""Share of what was taken back that is deleted then; the rest is changed."""
CHAIN_LENGTH: Final = 6
CHOSEN: Final = "urn:sim:"
"""With it begin the identifiers that clients choose."""


class WriteState(msgspec.Struct):
    """What a client knows of an entity that it writes."""

    id: str
    type: str
    owner: int
    acknowledged: int = 0
    """Number of the last write that was acknowledged; 0: none was."""
    sent: int = 0
    """Number of the last write that was sent."""
    is_deleted: bool = False
    """Whether its deletion was acknowledged."""
    is_unsure: bool = False
    """Whether nobody knows if it was created, or deleted."""
    is_missing: bool = False
    """Whether it was taken for deleted only because it was not there, as where a store was lost."""
    appended: dict[str, bool] = msgspec.field(default_factory=dict)
    """What was to be appended once, through other members, and whether that was acknowledged."""
    is_contested: bool = False
    was_public: bool = False
    """Whether anything that was sent says that it is for everyone."""
    was_deleted: bool = False
    """Whether it was ever to be deleted."""
    was_withheld: bool = False
    """Whether anything that was sent says that it is not, so that bytes that were announced may be away."""

    def note(self, fields: Mapping[str, Any]) -> None:
        """What is sent says for whom the entity is from now on, or that it is in another state."""
        is_public = fields.get("visibleTo", ["everyone"]) == ["everyone"] and self.type in CATALOGUE_TYPES
        self.was_public |= is_public and ("visibleTo" in fields or "name" in fields)
        is_draft = fields.get("lifecycleStatus", "Launched") not in PUBLIC_STATUSES
        self.was_withheld |= not is_public or is_draft


def number_of(type_name: str, fields: Mapping[str, Any]) -> int:
    """The number of the write that made an entity what it is."""
    return int(str(fields[NUMBERED.get(type_name, "name")]).removeprefix("n"))


def appended_to(fields: Mapping[str, Any]) -> list[str | None]:
    """What is in the lists to which other members append."""
    return [
        *(one.get("name") for one in fields.get("attachment", ())),
        *(one.get("text") for one in fields.get("note", ())),
    ]


def _language(type_name: str) -> dict[str, Any]:
    """What says that an entity is described in French."""
    name = {"ProductOffering": "prodSpecCharValueUse", "ProductSpecification": "productSpecCharacteristic"}
    if type_name not in name:
        return {}
    return {name[type_name]: [{"name": "language", "productSpecCharacteristicValue": [{"value": "fr"}]}]}


class LeagueClients:
    """The clients of all members, and what they know.

    Args:
        members: The marketplaces.
        clock: Between repetitions.
        drawn: For the pauses.
    """

    def __init__(self, members: tuple[SimulatedMember, ...], clock: Clock, drawn: random.Random) -> None:
        self._members = members
        self._clock = clock
        self._drawn = drawn
        self._numbers = 0
        self.entities: dict[tuple[int, int], WriteState] = {}
        """By member and slot; what is contested, and in chains, has slots of its own."""
        self.earlier: list[WriteState] = []
        """Those that were deleted, and whose slots have others now."""
        self.once: dict[str, tuple[int, bool]] = {}
        """Creates that were sent again and again under one key: marker to member, and whether one was
        acknowledged."""
        self.answers: dict[int, int] = {}
        """How many answers there were, by status."""
        self.referred: set[str] = set()
        """Identifiers that somebody has named: others may have learned of them before their claims."""
        self.audiences: dict[str, frozenset[str]] = {}
        """By secret, the names of the members that may ever read it."""
        self.observers: list[Callable[[SimulatedMember], Awaitable[None]]] = []
        """They look at a member when it has answered."""

    def all(self) -> list[WriteState]:
        """Every entity that was ever written."""
        return [*self.earlier, *self.entities.values()]

    async def call(
        self,
        member: SimulatedMember,
        method: str,
        target: str,
        body: Any = None,
        headers: Mapping[str, str] = CLIENT,
    ) -> HttpResponse | None:
        """What a member's process answers; None: nothing."""
        process = member.process
        if process is None:
            return None
        raw = b"" if body is None else msgspec.json.encode(body)
        sent = {"content-type": "application/json"} | dict(headers)
        task = process.spawn(exchange(process.application, method, target, sent, raw))
        done, _ = await asyncio.wait({task}, timeout=ANSWER_MAX_S)
        if not done:
            task.cancel()
            return None
        if task.cancelled() or member.process is not process:
            return None  # a process that has crashed answers nobody, whatever its tasks still do
        answer: HttpResponse = task.result()
        self.answers[answer.status] = self.answers.get(answer.status, 0) + 1
        require(answer.status != 500, f"{method} {target} is answered with 500: {answer.body!r}")
        if method != "GET":
            for observer in self.observers:
                await observer(member)
        return answer

    def forget(self, owner: int) -> None:
        """The store of a member was replaced by an older one: whatever was acknowledged may be lost."""
        for state in self.all():
            if state.owner == owner:
                state.acknowledged, state.is_unsure, state.is_deleted = 0, True, False
                state.appended.clear()
        for marker in [each for each, (its_owner, _) in self.once.items() if its_owner == owner]:
            del self.once[marker]

    # -- writing -------------------------------------------------------------------------------------------

    async def create(self, owner: int, slot: int, kind: str) -> None:
        """Create the entity of a slot, unless there is one."""
        if slot >= ORDERS:
            return
        kind = kind.replace("chosen", "bound") if slot >= PRIVATE else kind
        current = self.entities.get((owner, slot))
        type_name = TYPES[slot % len(TYPES)]
        chosen = f"urn:sim:{owner}:{slot}" if "chosen" in kind else None
        if current is not None:
            if not (current.is_deleted or current.is_unsure):
                return
            if current.id.startswith(CHOSEN):
                chosen = current.id
            elif current.is_unsure:
                return
            else:
                self.earlier.append(current)
                current = chosen = None
        fields: dict[str, Any] = {"lifecycleStatus": "In design" if "draft" in kind else "Launched"}
        if "french" in kind:
            fields |= _language(type_name)
        if "referring" in kind and type_name == "ProductOffering":
            fields["productSpecification"] = {"id": self._id_in(owner, 2)}
            category = self._id_in((owner + slot) % len(self._members), 3)
            self.referred.add(category)
            fields["category"] = [{"id": category}]
        await self._create(owner, slot, type_name, chosen, fields, current)

    async def _create(
        self,
        owner: int,
        slot: int,
        type_name: str,
        chosen: str | None,
        fields: Mapping[str, Any],
        current: WriteState | None = None,
    ) -> None:
        number = self._next()
        body = {"description": f"made {owner} {slot} {number}"} | dict(fields)
        body[NUMBERED.get(type_name, "name")] = f"n{number}"
        if type_name in {"ProductOffering", "ProductSpecification"}:
            body["attachment"] = [{"name": "first", "attachmentType": "note"}]
        if chosen is not None:
            body["id"] = chosen
        answer = await self.call(self._members[owner], "POST", PATHS[type_name], body)
        if answer is None and chosen is not None:
            unsure = current or WriteState(chosen, type_name, owner)
            unsure.sent, unsure.is_unsure, unsure.is_deleted = number, True, False
            unsure.appended = dict.fromkeys(unsure.appended, False)
            unsure.note(body)
            self.entities[owner, slot] = unsure
        if answer is None or answer.status != 201:
            return
        entity_id = msgspec.json.decode(answer.body)["id"]
        state = (
            current
            if current is not None and current.id == entity_id
            else WriteState(entity_id, type_name, owner)
        )
        state.acknowledged = state.sent = number
        state.is_deleted = state.is_unsure = state.is_missing = False
        state.appended = {}
        state.note(body)
        self.entities[owner, slot] = state

    async def choose(self, owner: int, slot: int, chosen: Sequence[int]) -> None:
        """Let the entity of a slot be for some members alone; create it so, where there is none."""
        fields = {
            "visibleTo": [self._members[each].did for each in chosen],
            "description": self._secret(owner, chosen),
        }
        state = self.entities.get((owner, slot))
        if state is not None and not state.is_deleted:
            await self.change(owner, slot, fields)
        elif slot < ORDERS and (state is None or not state.id.startswith(CHOSEN)):
            if state is not None:
                self.earlier.append(self.entities.pop((owner, slot)))
            await self._create(owner, slot, "ProductOffering", None, {"lifecycleStatus": "Launched"} | fields)

    async def order(self, owner: int, slot: int, chosen: Sequence[int]) -> None:
        """Create or change an order between a member and some others."""
        place = owner, ORDERS + slot % 2
        parties = [("Seller", owner), *(("Buyer", each) for each in chosen)]
        fields: dict[str, Any] = {
            "relatedParty": [
                {"id": f"urn:party:{n}", "role": role, "name": self._members[each].did}
                for n, (role, each) in enumerate(parties)
            ],
            "category": self._secret(owner, chosen),
        }
        state = self.entities.get(place)
        if state is not None and not state.is_deleted:
            await self.change(*place, fields)
            return
        if state is not None:
            self.earlier.append(self.entities.pop(place))
        items = {"productOrderItem": [{"id": "1", "action": "add"}], "note": [{"text": "first"}]}
        await self._create(*place, "ProductOrder", None, items | fields)

    def _secret(self, owner: int, chosen: Sequence[int]) -> str:
        """A text that a member and some others may read, and nobody else ever."""
        secret = f"secret-{self._drawn.randbytes(12).hex()}"
        self.audiences[secret] = frozenset(self._members[each].name for each in (owner, *chosen))
        return secret

    async def change(self, owner: int, slot: int, fields: Mapping[str, Any]) -> None:
        """Change the entity of a slot, if there is one."""
        state = self.entities.get((owner, slot))
        if state is None or state.is_deleted:
            return
        if state.type == "ProductOrder":
            fields = {name: value for name, value in fields.items() if name in ORDER_FIELDS}
        number = self._next()
        named = {NUMBERED.get(state.type, "name"): f"n{number}"}
        state.sent = max(state.sent, number)
        state.note(fields)
        headers = CLIENT | {"content-type": MERGE_PATCH}
        path = f"{PATHS[state.type]}/{state.id}"
        answer = await self.call(self._members[owner], "PATCH", path, named | dict(fields), headers)
        if answer is not None and answer.status == 200:
            state.acknowledged = max(state.acknowledged, number)
            state.is_unsure = False
        elif answer is not None and answer.status == 404:
            self._note_absence(state, "changed")

    async def delete(self, owner: int, slot: int) -> None:
        """Delete the entity of a slot, if there is one."""
        state = self.entities.get((owner, slot))
        if state is None or state.is_deleted:
            return
        state.was_withheld = state.was_deleted = True
        answer = await self.call(self._members[owner], "DELETE", f"{PATHS[state.type]}/{state.id}")
        if answer is None or answer.status >= 500:
            state.is_unsure = state.is_unsure or answer is None
        elif answer.status == 204:
            state.is_deleted, state.is_unsure, state.is_missing = True, False, False
        elif answer.status == 404:
            self._note_absence(state, "deleted")

    def _note_absence(self, state: WriteState, requested: str) -> None:
        """An entity was not there to be changed or deleted: as somebody was told before, or may be so."""
        if state.is_deleted:
            return  # a write at the same time was told so first
        # A deletion at the same time may have been carried out, and not been answered yet.
        may_be = state.is_unsure or (state.was_deleted and requested == "changed")
        require(may_be, f"{state.id} is not there to be {requested}")
        state.is_missing, state.is_deleted, state.is_unsure = state.is_unsure, True, False

    async def live_shortly(self, owner: int, pause_s: float) -> None:
        """Create an entity, and delete it after a while."""
        slot = FLEETING + self._next()
        await self._create(owner, slot, "ProductOffering", None, {"lifecycleStatus": "Launched"})
        await self._clock.sleep(pause_s)
        await self.delete(owner, slot)

    async def contest(self, owner: int, slot: int) -> None:
        """Create an entity under an identifier that others want, too."""
        place = (owner, 100 + slot)
        if place in self.entities:
            return
        chosen = f"urn:sim:contested:{slot}"
        await self._create(owner, place[1], "Category", chosen, {"lifecycleStatus": "Launched"})
        if place in self.entities:
            self.entities[place].is_contested = True

    async def chain(self, owner: int) -> None:
        """Create specifications that need one another, and an offering that needs the first."""
        if (owner, 200) in self.entities:
            return
        ids = [f"urn:sim:chain:{owner}:{n}" for n in range(CHAIN_LENGTH)]
        for n in reversed(range(CHAIN_LENGTH)):
            fields: dict[str, Any] = {"lifecycleStatus": "Launched"}
            if n + 1 < CHAIN_LENGTH:
                fields["bundledProductSpecification"] = [{"id": ids[n + 1]}]
            await self._create(owner, 201 + n, "ProductSpecification", ids[n], fields)
        fields = {"lifecycleStatus": "Launched", "productSpecification": {"id": ids[0]}}
        await self._create(owner, 200, "ProductOffering", f"urn:sim:chain:{owner}:offering", fields)

    async def forward(self, through: int, owner: int, slot: int) -> None:
        """Append to an entity through another member, again and again until there is an answer."""
        state = self.entities.get((owner, slot))
        if state is None or state.is_deleted or state.type == "Category" or through == owner:
            return
        marker = f"key-{self._next()}"
        list_name, value = "attachment", {"name": marker, "attachmentType": "note"}
        if state.type == "ProductOrder":
            list_name, value = "note", {"text": marker}
        patch = [{"op": "add", "path": f"/{list_name}/-", "value": value}]
        headers = CLIENT | {"content-type": JSON_PATCH, "idempotency-key": marker}
        path, appended = f"{PATHS[state.type]}/{state.id}", state.appended
        appended[marker] = False
        for n in range(REPETITIONS_MAX):
            if n:
                await self._clock.sleep(self._drawn.uniform(0.1, 8.0))
            answer = await self.call(self._members[through], "PATCH", path, patch, headers)
            if answer is not None and answer.status < 500 and answer.status != 429:
                if marker in appended:
                    appended[marker] = answer.status == 200
                return

    async def resync(self, owner: int) -> None:
        """Have a member compare its store with the ledger, and repair."""
        for walk in ("ledger", "store"):
            after: str | None = ""
            while after is not None:
                body = {"walk": walk, "after": after, "is_repair": True}
                answer = await self.call(self._members[owner], "POST", RESYNC, body, OPERATOR)
                if answer is None or answer.status != 200:
                    return
                after = msgspec.json.decode(answer.body)["next_after"]

    async def take_back(self, owner: int) -> None:
        """Have a member take what it has lost from the others, and withdraw what nobody has."""
        for state in self.all():
            if state.owner == owner and state.is_missing:
                state.is_deleted, state.is_unsure = False, True
        parts = await self._whole_restoration(owner, "restore")
        if missing := [one["key"] for part in parts for one in part["missing"]]:
            body = {"keys": missing}
            await self.call(self._members[owner], "POST", f"{LOST}/withdraw", body, OPERATOR)
        parts = await self._whole_restoration(owner, "restore-confidential")
        if parts[-1]["missing"]:
            await self.call(self._members[owner], "POST", f"{LOST}/withdraw-confidential", {}, OPERATOR)

    async def _whole_restoration(self, owner: int, path: str) -> list[dict[str, Any]]:
        """All parts of a restoration to which every honest member has answered."""
        honest = {one.did for one in self._members}
        for _ in range(TAKING_BACK_MAX):
            parts: list[dict[str, Any]] = []
            after: int | None = 0
            while after is not None:
                answer = await self.call(
                    self._members[owner], "POST", f"{LOST}/{path}", {"after": after}, OPERATOR
                )
                if answer is None or answer.status != 200:
                    break
                parts.append(msgspec.json.decode(answer.body))
                after = parts[-1]["next_after"]
            failed = {one["did"] for part in parts for one in part["sources"] if one["problem"]}
            if after is None and failed.isdisjoint(honest):
                return parts
            await self._clock.sleep(TAKING_BACK_PAUSE_S)
        raise ViolationError(f"{self._members[owner].name} cannot take back what it has lost ({path})")

    async def write_restored(self, owner: int) -> None:
        """Change, or delete, what a member has taken back: whoever holds it learns of that."""
        for place in [
            each for each, one in self.entities.items() if each[0] == owner and not one.is_contested
        ]:
            if self._drawn.random() < DELETED_AFTER_RESTORATION:
                await self.delete(*place)
            else:
                await self.change(*place, {})

    async def retry(self, owner: int) -> None:
        """Have a member request again what it does not have."""
        await self.call(self._members[owner], "POST", f"{REPLICAS}/retry", {}, OPERATOR)

    async def repeat(self, owner: int, count: int) -> None:
        """Create an entity by several requests under one key."""
        marker = f"once-{self._next()}"
        self.once[marker] = (owner, False)
        body = {"name": marker, "lifecycleStatus": "Launched"}
        headers = CLIENT | {"idempotency-key": marker}
        for n in range(REPETITIONS_MAX):
            answer = await self.call(self._members[owner], "POST", PATHS["Category"], body, headers)
            if answer is not None and answer.status == 201:
                if marker in self.once:
                    self.once[marker] = (owner, True)
                if n >= count:
                    return
            await self._clock.sleep(self._drawn.uniform(0.0, 2.0))

    def _id_in(self, owner: int, slot: int) -> str:
        state = self.entities.get((owner, slot))
        return state.id if state is not None else f"urn:sim:{owner}:{slot}"

    def _next(self) -> int:
        self._numbers += 1
        return self._numbers
