"""`hansa keys certify D CHAIN` of a member that runs: a certificate for its key, on the ledger.

The certificate is for the present key, which is renewed by it, or for the one that is to take its place
(`hansa keys request D --next`); then the present key stays valid for the overlap. Or it is the certificate of
a seal with an RSA key, which signed what `hansa keys seal` writes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from hansa.cli.durations import seconds_of
from hansa.cli.league.own_league import OwnLeague, own_league
from hansa.cli.local import CLOCK
from hansa.cli.output import Output
from hansa.core.clock import epoch_s
from hansa.core.errors import Refused
from hansa.core.files import is_missing
from hansa.core.governance.possession import Certification, prove_possession, sealed_bytes
from hansa.core.governance.statements import KeyRotate
from hansa.core.keys import SigningKey
from hansa.node.folder import NEXT_MEMBER_KEY, adopt_member_key, next_member_key
from hansa.node.joining.certificates import certification_of


def seal_input_of_member(folder: Path, algorithm: str, *, is_next: bool) -> bytes:
    """What the seal of a legal person signs to say that a key of its marketplace is its own.

    Raises:
        Unavailable: The ledger has not begun.
    """

    async def run() -> bytes:
        async with own_league(folder) as mine:
            key = next_member_key(folder) if is_next else mine.key
            return sealed_bytes(mine.did, key.public, mine.league_id, algorithm)

    return asyncio.run(run())


def certify_member_key(
    folder: Path,
    chain: Sequence[bytes],
    overlap: str,
    output: Output,
    seal: bytes | None = None,
    algorithm: str = "",
) -> None:
    """Register the certificate of a member's key, or of the seal that signed that the key is its owner's.

    Raises:
        Refused: `Code.CERTIFICATE_INVALID`, or the code of the rule that it breaks.
        Unavailable: The marketplace does not run, or the league does not decide now; to be repeated.
    """
    overlap_s = int(seconds_of(overlap))

    async def run() -> None:
        async with own_league(folder) as mine:
            key, certification = _certified(folder, mine, chain, seal, algorithm)
            proof = prove_possession(key, mine.did, mine.league_id, "signing", epoch_s(CLOCK), certification)
            is_next = key.kid != mine.key.kid
            action = KeyRotate(proof, overlap_s, mine.key.kid) if is_next else KeyRotate(proof)
            signer = mine.signer
            governed = await mine.govern("member", lambda seq: signer.state(action, seq=seq))
            if is_next:
                adopt_member_key(folder, (await mine.bus.league()).member(mine.did) or mine.me)
            facts = {"kid": key.kid, "registered": f"in block {governed.height:,}"}
            output.document(facts) if output.as_json else output.facts(facts)

    asyncio.run(run())


def _certified(
    folder: Path, mine: OwnLeague, chain: Sequence[bytes], seal: bytes | None, algorithm: str
) -> tuple[SigningKey, Certification]:
    """The key that a certificate, or a seal, is for: the next one or the present one."""
    keys = [mine.key]
    if not is_missing(folder / NEXT_MEMBER_KEY):
        keys.insert(0, SigningKey.load(folder / NEXT_MEMBER_KEY))
    problem: Refused | None = None
    for key in keys:
        try:
            return key, certification_of(key, mine.did, mine.league_id, chain, seal, algorithm)
        except Refused as error:
            problem = error
    assert problem is not None, "there is a key"
    raise problem
