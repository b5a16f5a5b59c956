"""What a marketplace knows of the other members.

GET /league/v1/peers                    all of them, for the operator
GET /league/v1/peers/{did}/evidence     what shows that one of them sent wrong bytes, for the operator
POST /league/v1/peers/{did}/pause       request nothing of one of them until it is resumed, for the operator
POST /league/v1/peers/{did}/resume      request again what waits of it, for the operator
GET /league/v1/followed?key=…           how far this marketplace is with the entities of the member that asks
"""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hansa.api.callers import require_operator, signing_member
from hansa.api.parameters import Parameters
from hansa.api.responses import json_response
from hansa.core.access import Authenticate
from hansa.core.errors import Code, Refused
from hansa.core.http import CallerCheck
from hansa.core.identifiers import is_entity_key
from hansa.core.limits import Limits
from hansa.replication.exchange import AnswerProof
from hansa.replication.replicas.control import ReplicaControl
from hansa.replication.sources.peers import KEYS_MAX, PeerView
from hansa.store import Store
from hansa.store.tables import evidence
from hansa.store.tables.evidence import Evidence


class ProvedEvidence(msgspec.Struct, frozen=True):
    """Evidence, with what shows it to others."""

    evidence: Evidence
    """What is wrong."""
    proof: AnswerProof
    """Request and answer, with the tokens that both members signed; bodies in base64."""


class PeersApi:
    """Serves what is known of the other members.

    Args:
        store: Has the evidence.
        view: Of the members; None: nothing is known.
        control: Pauses members, and resumes them.
        did: This member.
        check: Finds out which member calls.
        authenticate: Finds out which client calls.
        limits: Of parameters.
    """

    def __init__(
        self,
        store: Store,
        view: PeerView | None,
        control: ReplicaControl,
        did: str,
        check: CallerCheck,
        authenticate: Authenticate,
        limits: Limits,
    ) -> None:
        self._store = store
        self._view = view
        self._control = control
        self._did = did
        self._check = check
        self._authenticate = authenticate
        self._limits = limits

    async def list(self, request: Request) -> Response:
        """`GET /league/v1/peers`."""
        require_operator(self._authenticate, request)
        Parameters(request, (), self._limits)
        return json_response(await self._view.peers() if self._view is not None else ())

    async def evidence(self, request: Request) -> Response:
        """`GET /league/v1/peers/{did}/evidence`."""
        require_operator(self._authenticate, request)
        Parameters(request, (), self._limits)
        proofs = await evidence.proofs(self._store, request.path_params["did"])
        return json_response(
            [ProvedEvidence(one, msgspec.json.decode(proof, type=AnswerProof)) for one, proof in proofs]
        )

    async def pause(self, request: Request) -> Response:
        """`POST /league/v1/peers/{did}/pause`."""
        return json_response(await self._control.pause(self._other(request)))

    async def resume(self, request: Request) -> Response:
        """`POST /league/v1/peers/{did}/resume`."""
        return json_response(await self._control.resume(self._other(request)))

    def _other(self, request: Request) -> str:
        """The member that an operator names."""
        require_operator(self._authenticate, request)
        Parameters(request, (), self._limits)
        did: str = request.path_params["did"]
        if did == self._did:
            raise Refused(Code.INVALID, "This marketplace requests nothing of itself.")
        return did

    async def followed(self, request: Request) -> Response:
        """`GET /league/v1/followed`."""
        member = await signing_member(self._check, request, b"")
        keys = tuple(dict.fromkeys(Parameters(request, {"key": _keys}, self._limits).texts("key")))
        if member is None or self._view is None:
            raise Refused(Code.UNAUTHENTICATED, "A member that signs the request learns of its own entities.")
        return json_response(await self._view.own_progress(member, keys))


def _keys(parameters: Parameters, name: str) -> None:
    """Check ledger keys."""
    texts = parameters.texts(name)
    if len(texts) > KEYS_MAX or not all(map(is_entity_key, texts)):
        raise Refused(Code.INVALID, f"{name} is up to {KEYS_MAX} ledger keys: SHA-256 in hex.")
