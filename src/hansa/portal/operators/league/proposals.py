"""What the members decide: proposals, what each would change, votes, and proposals of one's own.

/operator/proposals           all of them; the form of a new one, of the kind `kind`
/operator/proposals/new       POST shows what a proposal would change, and makes it when that is confirmed
/operator/proposals/{name}    one of them, by its hash; POST votes on it

A vote and a proposal are the marketplace's own: they are signed with its key, and the audit log has the
pseudonym of the operator who decided. A proposal cannot be taken back: it is voted down, or expires. The
last vote of a member counts, so one can be changed while the proposal is open.
"""

from __future__ import annotations

from typing import Final, Literal, Protocol
from urllib.parse import quote

import msgspec
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hansa.core.errors import Code, Refused
from hansa.portal.frame.people import FormFields, Visit, see
from hansa.portal.operators.operator_frame import OperatorFrame
from hansa.portal.operators.places import OperatorPage

PROPOSALS_PATH: Final = "/operator/proposals"
SHOWN_MAX: Final = 100
TEXT_MAX_CHARS: Final = 65_536
NAME_MAX_CHARS: Final = 128
NOTE_MAX_CHARS: Final = 200
DAYS: Final = ("1", "7", "14", "30")

ProposalKind = Literal[
    "activate",
    "admit",
    "anchor",
    "anchor-remove",
    "certificate",
    "issuer",
    "param",
    "policy",
    "power",
    "remove",
    "suspend",
    "upgrade",
]
KINDS: Final[tuple[ProposalKind, ...]] = (
    *("admit", "suspend", "activate", "remove"),
    *("power", "param", "issuer", "anchor", "anchor-remove", "certificate", "policy", "upgrade"),
)


class ChangeEffect(msgspec.Struct, frozen=True):
    """What a change would do; in the words of `hansa league show`."""

    change: str
    subject: str
    old: str
    new: str
    text: str


class MemberVote(msgspec.Struct, frozen=True):
    """The last vote of a member."""

    voter: str
    name: str
    choice: str
    power: int


class LeagueProposal(msgspec.Struct, frozen=True, kw_only=True):
    """A proposal."""

    hash: str
    proposer_name: str
    note: str
    outcome: str
    reason: str
    height: int
    time: str
    expires_time: str
    decided_height: int | None
    decided_time: str | None
    changes: tuple[ChangeEffect, ...]
    yes_power: int
    no_power: int
    total_power: int
    needed_power: int
    votes: tuple[MemberVote, ...]
    missing: tuple[str, ...]
    """Names of the validators that have not voted while it is open."""


class DesiredChange(msgspec.Struct, frozen=True):
    """What the form of a new proposal says; not checked yet."""

    kind: ProposalKind
    member: str = ""
    """DID."""
    parameter: str = ""
    number: str = ""
    """Voting power, value of the parameter, or hours of a suspension; empty: until a vote ends it."""
    text: str = ""
    """Candidacy or card of a candidate; an issuer, or what removes one, as JSON; a certificate;
    the identifier of a certified key; the rows of the table of policies."""
    anchor: str = ""
    """Fingerprint of the one that is removed."""
    keys: str = "keep"
    """What becomes of the keys that its certificates certify: `keep` or `revoke`."""
    ruleset: str = ""
    engine: str = ""
    """The oldest version of the engine; empty: any."""
    note: str = ""
    days: str = "7"
    """For how long it is open."""


class FormChoices(msgspec.Struct, frozen=True):
    """What can be chosen in the form."""

    members: tuple[tuple[str, str], ...]
    """DIDs and names."""
    parameters: tuple[tuple[str, int], ...]
    """Names and values now."""
    own_power: int
    """With which this marketplace votes."""
    own_did: str
    anchors: tuple[tuple[str, str], ...] = ()
    """Fingerprints and names of the authorities that certify seals."""
    rulesets: tuple[str, ...] = ()
    """That this release knows."""
    ruleset: str = ""
    """By which the league judges now."""
    height: int = 0
    """Of the ledger now."""
    policy: str = "[]"
    """The rows of the table of distribution policies now, as JSON."""


class ProposedEffect(msgspec.Struct, frozen=True):
    """What a proposal would change, and what it would need."""

    effect: ChangeEffect
    needed_power: int
    total_power: int


class ProposalReads(Protocol):
    """Knows the proposals; votes and proposes with the marketplace's key.

    All raise `Unavailable`, while the ledger does not answer.
    """

    async def proposals(self) -> tuple[LeagueProposal, ...]:
        """All that the ledger still has: open ones first, the newest first of each."""

    async def proposal(self, name: str, /) -> LeagueProposal:
        """One of them. Raises `Refused`: `Code.NOT_FOUND` or `Code.CONFLICT`."""

    async def choices(self) -> FormChoices:
        """Of the form."""

    async def effect(self, desired: DesiredChange, /) -> ProposedEffect:
        """What a change would do. Raises `Refused`: `Code.INVALID`, saying what is wrong with it."""

    async def propose(self, desired: DesiredChange, /) -> str:
        """Propose it; the hash of the proposal. Raises `Refused`."""

    async def vote(self, hash: str, choice: Literal["no", "yes"], /) -> None:
        """Vote. Raises `Refused`."""


class ProposalsPage(OperatorPage, frozen=True, kw_only=True):
    """For the template `league/proposals.html`."""

    proposals: tuple[LeagueProposal, ...]
    total: int
    choices: FormChoices
    desired: DesiredChange
    kinds: tuple[ProposalKind, ...]
    problem: str
    """Why what was sent cannot be proposed; empty: nothing was."""
    proposed: ProposedEffect | None
    """What it would change: to be confirmed; None: nothing is."""


class ProposalPage(OperatorPage, frozen=True, kw_only=True):
    """For the template `league/proposal.html`."""

    proposal: LeagueProposal
    own_choice: str
    """How this marketplace has voted; empty: not yet."""
    own_power: int


class ProposalsPages:
    """The handlers of these paths.

    Args:
        frame: Of pages for operators.
        proposals: Knows them.
    """

    def __init__(self, frame: OperatorFrame, proposals: ProposalReads) -> None:
        self._frame = frame
        self._proposals = proposals

    def routes(self) -> list[BaseRoute]:
        """All of them."""
        guarded = self._frame.guarded
        return [
            Route(PROPOSALS_PATH, guarded(self.all)),
            Route(f"{PROPOSALS_PATH}/new", guarded(self.new), methods=["POST"]),
            Route(f"{PROPOSALS_PATH}/{{name}}", guarded(self.one)),
            Route(f"{PROPOSALS_PATH}/{{name}}", guarded(self.vote), methods=["POST"]),
        ]

    async def all(self, visit: Visit) -> Response:
        """`GET /operator/proposals`."""
        kind = visit.request.query_params.get("kind", KINDS[0])
        return await self._listed(visit, DesiredChange(next((one for one in KINDS if one == kind), KINDS[0])))

    async def one(self, visit: Visit) -> Response:
        """`GET /operator/proposals/{name}`."""
        proposal = await self._named(visit)
        choices = await self._proposals.choices()
        own = next((one.choice for one in proposal.votes if one.voter == choices.own_did), "")
        page = ProposalPage(
            places=self._frame.places, proposal=proposal, own_choice=own, own_power=choices.own_power
        )
        return self._frame.page(visit, "league/proposal.html", page)

    async def vote(self, visit: Visit) -> Response:
        """`POST /operator/proposals/{name}`."""
        choice = visit.form.one("choice")
        if choice not in {"no", "yes"}:
            raise Refused(Code.INVALID, "choice is yes or no.")
        said: Literal["no", "yes"] = "yes" if choice == "yes" else "no"
        hash = (await self._named(visit)).hash
        await self._frame.carry_out(
            visit, f"proposal-vote-{said}", hash, lambda: self._proposals.vote(hash, said)
        )
        return see(f"{PROPOSALS_PATH}/{hash}")

    async def new(self, visit: Visit) -> Response:
        """`POST /operator/proposals/new`: nothing is proposed unless the effect was shown and confirmed."""
        desired = _desired(visit.form)
        try:
            proposed = await self._proposals.effect(desired)
        except Refused as error:
            return await self._listed(visit, desired, problem=error.message)
        if visit.form.one("confirmed") != "yes":
            return await self._listed(visit, desired, proposed=proposed)
        about = f"{desired.kind} {desired.member or desired.parameter or proposed.effect.subject}"
        hash = await self._frame.carry_out(
            visit, "proposal-make", about, lambda: self._proposals.propose(desired)
        )
        return see(f"{PROPOSALS_PATH}/{quote(hash, safe='')}")

    async def _named(self, visit: Visit) -> LeagueProposal:
        name = visit.request.path_params["name"]
        if len(name) > NAME_MAX_CHARS:
            raise Refused(Code.NOT_FOUND, "There is no such proposal.")
        return await self._proposals.proposal(name)

    async def _listed(
        self,
        visit: Visit,
        desired: DesiredChange,
        problem: str = "",
        proposed: ProposedEffect | None = None,
    ) -> Response:
        proposals = await self._proposals.proposals()
        page = ProposalsPage(
            places=self._frame.places,
            proposals=proposals[:SHOWN_MAX],
            total=len(proposals),
            choices=await self._proposals.choices(),
            desired=desired,
            kinds=KINDS,
            problem=problem,
            proposed=proposed,
        )
        return self._frame.page(visit, "league/proposals.html", page)


def _desired(form: FormFields) -> DesiredChange:
    """What was sent.

    Raises:
        Refused: `Code.INVALID`.
    """
    kind = next((one for one in KINDS if one == form.one("kind")), None)
    if kind is None:
        raise Refused(Code.INVALID, f"kind is one of {', '.join(KINDS)}.")
    days = form.one("days") or "7"
    if days not in DAYS:
        raise Refused(Code.INVALID, f"days is one of {', '.join(DAYS)}.")
    text, note = form.one("text").strip(), form.one("note").strip()
    if len(text) > TEXT_MAX_CHARS:
        raise Refused(Code.TOO_LARGE, f"What is pasted has {TEXT_MAX_CHARS} characters at most.")
    if len(note) > NOTE_MAX_CHARS or not note.isprintable():
        raise Refused(Code.INVALID, f"A note is one line of {NOTE_MAX_CHARS} characters at most.")
    member, parameter, number = (form.one(name).strip() for name in ("member", "parameter", "number"))
    anchor, ruleset, engine = (form.one(name).strip() for name in ("anchor", "ruleset", "engine"))
    if any(len(one) > 256 for one in (member, parameter, number, anchor, ruleset, engine)):
        raise Refused(Code.INVALID, "A field is too long.")
    keys = form.one("keys") or "keep"
    if keys not in {"keep", "revoke"}:
        raise Refused(Code.INVALID, "keys is keep or revoke.")
    return DesiredChange(
        *(kind, member, parameter, number, text, anchor, keys, ruleset, engine), note=note, days=days
    )
