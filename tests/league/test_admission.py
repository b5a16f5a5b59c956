"""A league of three admits a fourth by vote, by the commands of docs/operators/join-a-league.md alone.

It is a legal person, so its key needs a certificate for seals that leads to an anchor on the ledger. It
follows at once, votes when it is given power, publishes, and what it published is proved by a receipt to
somebody who has the genesis alone. Its certificate expires and is renewed, a seal with an RSA key certifies
its next key, and the key before is revoked by vote. Then it gives its power back and leaves, and the receipt
holds as before.
"""

from __future__ import annotations

import asyncio
import json
import re
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from hansa.core.batches import BatchSigner
from hansa.core.canonical import hashlink
from hansa.core.errors import Code, Refused
from hansa.core.events import EntityVersion, LifecycleEvent, Metadata, encode_event, event_id, event_time
from hansa.core.files import write_file
from hansa.core.identifiers import entity_key
from hansa.core.keys import SigningKey
from hansa.node.folder import MEMBER_KEY, read_genesis
from tests.league.harness import (
    CLOCK,
    OFFERINGS,
    League,
    RunningMember,
    engine_rpc,
    free_base_port,
    league,
    wait_until,
)
from tests.league.test_governance import CommandFailed, bus_of, decide, did_of, hansa, propose, registered
from tests.support.certificates import ORGANIZATION, Issued, authority, new_key, seal

pytestmark = [pytest.mark.league, pytest.mark.timeout(300)]

PATIENCE_S = 60.0
DID = f"did:elsi:{ORGANIZATION}"
PAGE = Path(__file__).parents[2] / "docs" / "operators" / "join-a-league.md"


def test_the_page_has_the_commands_that_are_carried_out_here() -> None:
    page = PAGE.read_text()
    commands = set(re.findall(r"hansa (join|serve|league (?:propose|vote|leave))\b", page))
    assert commands == {"join", "serve", "league propose", "league vote", "league leave"}


async def test_a_fourth_joins_votes_publishes_and_leaves(tmp_path: Path) -> None:
    async with league(tmp_path / "league", 3) as three, aiohttp.ClientSession() as session:
        before = await three[0].create_offering()
        port = free_base_port(2) + 1
        folder = tmp_path / "visby"
        await hansa(
            *("join", str(folder), "--from", three[0].url, "--from", three[1].url, "--name", "visby"),
            *("--did", DID),
            *(
                "--endpoint",
                f"http://127.0.0.1:{port}",
                "--p2p-host",
                "127.0.0.1",
                "--p2p-port",
                str(port + 1),
            ),
        )
        authorities = Authorities(tmp_path)
        await a_certificate_that_leads_to_an_anchor_is_needed(three, folder, authorities)
        await decide(three, "admit", str(folder / "candidacy.jws"), voters=3)
        newcomer = RunningMember(folder, port, session)
        token = (await hansa("token", str(folder), "--subject", "ada", "--role", "operator")).strip()
        write_file(folder / "token", token.encode())
        four = League([*three.members, newcomer])
        await newcomer.start()
        try:
            await newcomer.wait_until_ready()
            await four.wait_until_visible(f"{OFFERINGS}/{before}", PATIENCE_S)
            await a_certificate_expires_is_renewed_and_revoked(three, newcomer, authorities)
            await a_policy_refuses_what_has_no_label(three, newcomer)
            await gives_power_votes_and_leaves(three, four, newcomer, tmp_path / "receipt.json")
        finally:
            await newcomer.stop()


class Authorities:
    """The one that the league trusts, and one of the same name that it does not."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        now = CLOCK.now()
        self._validity: dict[str, Any] = {"begin": now - timedelta(days=1), "end": now + timedelta(days=90)}
        self.root, self.impostor = (authority("Trust CA", **self._validity) for _ in range(2))
        self.rsa_key = new_key("2048")
        self._count = 0

    def write(self, issued: Issued) -> str:
        """Path of a certificate in PEM."""
        self._count += 1
        path = self._folder / f"certificate-{self._count}.pem"
        path.write_bytes(issued.certificate.public_bytes(Encoding.PEM))
        return str(path)

    async def certificate(self, folder: Path, issuer: Issued, **validity: datetime) -> str:
        """For the key in a folder, as it requests it."""
        request = await hansa("keys", "request", str(folder), "--organization", "GoodAir", "--country", "ES")
        key = SimpleNamespace(public_key=x509.load_pem_x509_csr(request.encode()).public_key)
        return self.write(seal(issuer, key=key, **self._validity | validity))

    async def seal(self, folder: Path) -> tuple[str, str]:
        """The certificate of a seal with an RSA key, and what it signs for the next key of a folder."""
        signed, signature = self._folder / "to-sign", self._folder / "signature"
        await hansa("keys", "seal", str(folder), "-o", str(signed), "--next")
        signature.write_bytes(self.rsa_key.sign(signed.read_bytes(), padding.PKCS1v15(), SHA256()))
        return self.write(seal(self.root, key=self.rsa_key, **self._validity)), str(signature)


async def a_certificate_that_leads_to_an_anchor_is_needed(
    three: League, folder: Path, authorities: Authorities
) -> None:
    await decide(three, "anchor", authorities.write(authorities.root))
    with pytest.raises(CommandFailed, match="needs a certificate"):
        await propose(three[0], "admit", str(folder / "candidacy.jws"))
    right = await authorities.certificate(folder, authorities.root)
    wrong = await authorities.certificate(folder, authorities.impostor)
    await hansa("keys", "certify", str(folder), wrong)
    with pytest.raises(CommandFailed, match="did not sign it"):
        await propose(three[1], "admit", str(folder / "candidacy.jws"))
    await hansa("keys", "certify", str(folder), right)


async def certificates(member: RunningMember) -> dict[str, str]:
    """The state of each certified key, by its name."""
    page = (await member.get("/league/v1/certificates")).json()
    return {one["kid"]: one["state"] for one in page["certificates"]}


async def a_certificate_expires_is_renewed_and_revoked(
    three: League, newcomer: RunningMember, authorities: Authorities
) -> None:
    folder, voter = newcomer.folder, three[0]
    first = SigningKey.load(folder / MEMBER_KEY)
    for lifetime_s in (8, 30, 120):  # a busy machine may need longer than the shortest to register it
        end = CLOCK.now() + timedelta(seconds=lifetime_s)
        short = await authorities.certificate(folder, authorities.root, end=end)
        try:
            await hansa("keys", "certify", str(folder), short)
        except CommandFailed as error:
            if "has expired" not in str(error):
                raise
        else:
            break

    async def has_expired() -> bool:
        await voter.create_offering(name="has a block made")
        return (await certificates(voter))[first.kid] == "expired"

    await wait_until(has_expired, "the certificate has expired", 3 * PATIENCE_S, three.members)
    held = await newcomer.create_offering(name="held")

    async def is_refused() -> bool:
        return bool((await newcomer.status())["publication_problem"] == "certificate-invalid")

    await wait_until(is_refused, "an expired key publishes nothing", PATIENCE_S, [newcomer])
    assert not await voter.has(f"{OFFERINGS}/{held}")
    chain, signature = await authorities.seal(folder)
    await hansa("keys", "certify", str(folder), chain, "--seal", signature, "--overlap", "1h")
    await League(three.members).wait_until_visible(f"{OFFERINGS}/{held}", PATIENCE_S)
    revoke = folder / "revoke.json"
    revoke.write_text(json.dumps({"change": "certificate.revoke", "did": DID, "kid": first.kid}))
    await decide(three, "anchor", str(revoke), known_to=[newcomer])
    states = await certificates(voter)
    assert states.pop(first.kid) == "revoked"
    assert list(states.values()) == ["valid"]
    async with bus_of(newcomer) as bus:
        with pytest.raises(Refused) as refused:
            await bus.publish([content_of(DID, "stolen")], BatchSigner(first, DID, CLOCK))
        assert refused.value.code is Code.CERTIFICATE_INVALID


def content_of(did: str, name: str, metadata: Metadata | None = None) -> bytes:
    """The first version of some entity."""
    entity = EntityVersion(entity_key(did, name), "ProductOffering", 1)
    time = event_time(CLOCK.now())
    return encode_event(
        LifecycleEvent(
            *(event_id(did, entity, time), "productOfferingCreateEvent", time, did, entity),
            hashlink=hashlink(name.encode()),
            metadata=metadata or Metadata(),
        )
    )


async def a_policy_refuses_what_has_no_label(three: League, newcomer: RunningMember) -> None:
    """At all members alike: each refuses it before it proposes it."""
    table = newcomer.folder / "policy.json"
    rows = [{"action": "allow", "labels": ["EU Cloud CoC"], "types": ["ProductOffering"]}]
    table.write_text(json.dumps({"rows": rows}))
    await decide(three, "policy", str(table), known_to=[newcomer])
    for member in (*three.members, newcomer):
        did = did_of(member)
        signer = BatchSigner(SigningKey.load(member.folder / MEMBER_KEY), did, CLOCK)
        async with bus_of(member) as bus:
            with pytest.raises(Refused) as refused:
                await bus.publish([content_of(did, "without a label")], signer)
            assert refused.value.code is Code.POLICY_REFUSED
    async with bus_of(three[0]) as bus:
        did = did_of(three[0])
        signer = BatchSigner(SigningKey.load(three[0].folder / MEMBER_KEY), did, CLOCK)
        labelled = content_of(did, "labelled", Metadata(compliance=("EU Cloud CoC",)))
        assert await bus.publish([labelled], signer)
    table.write_text("[]")
    await decide(three, "policy", str(table), known_to=[newcomer])


async def gives_power_votes_and_leaves(
    three: League, four: League, newcomer: RunningMember, receipt: Path
) -> None:
    genesis = newcomer.folder / "genesis.json"
    did = next(
        line.split()[-1] for line in (await hansa("status", newcomer.url)).splitlines() if "DID" in line
    )
    await decide(three, "power", did, "10")

    async def is_validator() -> bool:
        validators = (await engine_rpc(three[0], "validators"))["validators"]
        return len(validators) == 4

    await wait_until(is_validator, "the power acts, two blocks later", PATIENCE_S, four.members)
    await three[2].stop()  # three of four are needed: the newcomer has to vote
    published = await newcomer.create_offering()
    await wait_until(
        lambda: three[0].has(f"{OFFERINGS}/{published}"), "the newcomer votes", PATIENCE_S, four.members
    )
    await three[2].start()
    await three[2].wait_until_ready()
    await four.wait_until_visible(f"{OFFERINGS}/{published}", PATIENCE_S)
    await hansa("receipt", three[0].url, published, "-o", str(receipt))
    assert did in await hansa("verify", str(receipt), "--genesis", str(genesis))
    assert read_genesis(genesis.read_bytes(), genesis).app_state.members != ()
    await decide(three, "power", did, "0")
    await hansa("league", "leave", str(newcomer.folder), "--yes")

    async def has_left() -> bool:
        return bool((await registered(three[0], did))["status"] == "left")

    await wait_until(has_left, "it has left", 5 * PATIENCE_S, three.members)
    assert "The receipt holds" in await hansa("verify", str(receipt), "--genesis", str(genesis))
    await asyncio.gather(*(member.wait_until_ready() for member in three.members))
