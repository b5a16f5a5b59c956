"""A second verifier of receipts, written from docs/integrators/receipts.md alone.

It shares no line with the first one: it imports `hashlib`, `json` and `cryptography`. Run it on a
machine that knows only the genesis: `python second_verifier.py RECEIPT GENESIS`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

# fmt: off
SECTIONS = {"hansa-ledger/3": 8, "hansa-ledger/4": 22}
Keys = dict[str, Any]
CANONICAL: dict[str, Any] = {"sort_keys": True, "separators": (",", ":"), "ensure_ascii": False}
PLACES = {"events": 1, "claims": 2, "history": 10}
CURVE = ec.SECP256R1()
MALFORMED = (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError, OverflowError)

class Wrong(Exception):
    """The receipt does not hold; the message says why."""
def need(condition: object, reason: str) -> None:
    if not condition:
        raise Wrong(reason)
def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
def leaf(data: bytes) -> bytes:
    return sha256(b"\x00" + data)
def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right)
def tree(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node(tree(leaves[:split]), tree(leaves[split:]))
def climb(start: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """The root of RFC 6962 that a path leads to (RFC 9162, section 2.1.3.2)."""
    need(0 <= index < size, "a place outside of its tree")
    at, last, current = index, size - 1, start
    for sibling in path:
        need(last > 0, "a path that is too long")
        if at % 2 or at == last:
            current = node(sibling, current)
            while not at % 2 and at:
                at, last = at >> 1, last >> 1
        else:
            current = node(current, sibling)
        at, last = at >> 1, last >> 1
    need(last == 0, "a path that is too short")
    return current
def unbase64(text: Any, *sizes: int) -> bytes:
    need(isinstance(text, str) and re.fullmatch("[A-Za-z0-9_-]*", text, re.ASCII), "no base64url")
    need(len(text) % 4 != 1, "base64url of no whole byte")
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    need(base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == text, "base64url with loose bits")
    need(not sizes or len(raw) in sizes, "a value of a wrong size")
    return raw
def whole(value: Any, least: int = 0, most: int = 2**53 - 1) -> int:
    need(type(value) is int and least <= value <= most, "a number out of bounds")
    return int(value)
def fields(value: Any, required: str, optional: str = "") -> dict[str, Any]:
    need(isinstance(value, dict), "a part that is no object")
    names, known = set(value), set(required.split())
    need(known <= names <= known | set(optional.split()), f"unknown or missing: {sorted(names ^ known)}")
    return dict(value)

# -- the engine's encoding ---------------------------------------------------------------------------------------
def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])
def field(number: int, value: int | bytes, *, always: bool = False) -> bytes:
    if not value and not always:
        return b""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value
def fixed(number: int, value: int) -> bytes:
    return varint(number << 3 | 1) + value.to_bytes(8, "little") if value else b""
def moment(text: Any) -> tuple[int, bytes]:
    """Nanoseconds, and `google.protobuf.Timestamp`."""
    need(isinstance(text, str) and re.fullmatch(r"(0|[1-9]\d{0,10})\.\d{9}", text, re.ASCII), "a wrong time")
    seconds, nanos = map(int, text.split("."))
    return seconds * 10**9 + nanos, field(1, seconds) + field(2, nanos)
def block_id(block_hash: bytes, parts: dict[str, Any]) -> bytes:
    parts = fields(parts, "hash total")
    inner = field(1, whole(parts["total"], 0, 2**32 - 1)) + field(2, unbase64(parts["hash"], 0, 32))
    return field(1, block_hash) + field(2, inner, always=True)

class LightBlock:
    """Header, commit and validators of one height; checked by itself when it is made."""
    def __init__(self, value: Any, chain_id: str) -> None:
        value = fields(value, "commit header validators")
        self.read_validators(value["validators"])
        self.read_header(value["header"], chain_id)
        need(self.validators_hash == self.set_hash, "validators that the header does not name")
        self.read_commit(value["commit"], chain_id)
    def read_validators(self, rows: Any) -> None:
        need(isinstance(rows, list) and 0 < len(rows) <= 1024, "too many validators, or none")
        self.keys, self.powers, leaves = [], [], []
        for part in rows:
            row = fields(part, "key power", "type")
            need("type" not in row, "this verifier knows Ed25519 alone")
            key, power = unbase64(row["key"], 32), whole(row["power"], 1)
            self.keys.append(key)
            self.powers.append(power)
            leaves.append(leaf(field(1, field(1, key)) + field(2, power)))
        need(len(set(self.keys)) == len(self.keys), "a validator twice")
        self.set_hash = tree(leaves)
    def read_header(self, header: Any, chain_id: str) -> None:
        names = "app_hash consensus_hash data_hash evidence_hash last_commit_hash last_results_hash"
        names += " next_validators_hash validators_hash"
        header = fields(header, f"{names} height last_block proposer time version")
        h = {name: unbase64(header[name], 0, 32) for name in names.split()}
        version, last = fields(header["version"], "app block"), fields(header["last_block"], "hash parts")
        self.height, (self.time, time) = whole(header["height"], 1), moment(header["time"])
        self.app_hash, self.validators_hash = h["app_hash"], h["validators_hash"]
        self.next_validators_hash = h["next_validators_hash"]
        leaves = [
            field(1, whole(version["block"])) + field(2, whole(version["app"])),
            *(field(1, chain_id.encode()), field(1, self.height), time),
            block_id(unbase64(last["hash"], 0, 32), last["parts"]),
            *(field(1, h[name]) for name in ("last_commit_hash", "data_hash", "validators_hash")),
            *(field(1, h[name]) for name in ("next_validators_hash", "consensus_hash", "app_hash")),
            *(field(1, h[name]) for name in ("last_results_hash", "evidence_hash")),
            field(1, unbase64(header["proposer"], 20)),
        ]
        self.hash = tree([leaf(one) for one in leaves])
    def read_commit(self, commit: Any, chain_id: str) -> None:
        commit = fields(commit, "parts round votes")
        need(whole(commit["parts"]["total"], 0) and commit["parts"]["hash"], "a commit to no block")
        name, votes = block_id(self.hash, commit["parts"]), commit["votes"]
        need(isinstance(votes, list) and len(votes) == len(self.keys), "a vote too many or too few")
        self.signers: set[bytes] = set()
        for part, key in zip(votes, self.keys, strict=True):
            flag = whole(part.get("flag") if isinstance(part, dict) else None, 1, 3)
            vote = fields(part, "flag" if flag == 1 else "flag signature time")
            if flag == 1:
                continue
            content = field(1, 2) + fixed(2, self.height) + fixed(3, whole(commit["round"], 0, 2**31 - 1))
            content += field(4, name) if flag == 2 else b""
            content += field(5, moment(vote["time"])[1], always=True) + field(6, chain_id.encode())
            try:
                ed25519.Ed25519PublicKey.from_public_bytes(key).verify(
                    unbase64(vote["signature"], 64), varint(len(content)) + content
                )
            except InvalidSignature:
                raise Wrong("a validator's signature that is wrong") from None
            if flag == 2:
                self.signers.add(key)
        need(self.has_more_than(Fraction(2, 3), self.keys, self.powers), "too few signatures")
    def has_more_than(self, share: Fraction, keys: list[bytes], powers: list[int]) -> bool:
        signed = sum(power for key, power in zip(keys, powers, strict=True) if key in self.signers)
        return signed > share * sum(powers)
def follow(blocks: list[LightBlock], genesis: dict[str, Any]) -> None:
    """From the validators of the genesis to the last block."""
    rows = [(base64.b64decode(one["pub_key"]["value"]), int(one["power"])) for one in genesis["validators"]]
    rows.sort(key=lambda row: (-row[1], sha256(row[0])[:20]))
    keys, powers, height, time = [row[0] for row in rows], [row[1] for row in rows], 0, -1
    next_hash = tree([leaf(field(1, field(1, key)) + field(2, power)) for key, power in rows])
    for block in blocks:
        need(block.height > height and block.time > time, "light blocks in a wrong order")
        if block.height == height + 1:
            need(block.validators_hash == next_hash, "validators that were not announced")
        else:
            need(block.has_more_than(Fraction(1, 3), keys, powers), "too few trusted validators signed")
        keys, powers, height, time = block.keys, block.powers, block.height, block.time
        next_hash = block.next_validators_hash

# -- the ledger --------------------------------------------------------------------------------------------------
def check_section(receipt: dict[str, Any], name: str, content: bytes, app_hash: bytes) -> None:
    path = [unbase64(one, 32) for one in receipt["state"].get(name, [])]
    root = climb(leaf(name.encode() + b"\x00" + content), PLACES[name], SECTIONS[receipt["ruleset"]], path)
    need(root == app_hash, f"other {name}")
    if name == "events":
        need(path[0] == leaf(b"ruleset\x00" + receipt["ruleset"].encode()), "other rules")
def check_history(receipt: dict[str, Any], app_hash: bytes) -> dict[str, Any]:
    """The records of members' keys and endpoints that are shown, by key."""
    part = fields(receipt["history"], "records size", "path")
    rows = [fields(one, "index key record") for one in part["records"]]
    need(rows and part.get("path", True), "an empty list that is not left out")
    shown = [(whole(row["index"]), row["key"]) for row in rows]
    need(all(list(one) == sorted(set(one)) for one in zip(*shown, strict=True)), "records in a wrong order")
    leaves = {row["index"]: leaf(row["key"].encode() + b"\x00" + unbase64(row["record"])) for row in rows}
    rest, size = [unbase64(one, 32) for one in part.get("path", [])], whole(part["size"], 1)
    def subtree(first: int, end: int) -> bytes:
        if not any(first <= at < end for at in leaves):
            return rest.pop(0)
        middle = first + (1 << (end - first - 1).bit_length() - 1) if end - first > 1 else end
        return leaves[first] if middle == end else node(subtree(first, middle), subtree(middle, end))
    check_section(receipt, "history", size.to_bytes(8) + subtree(0, size), app_hash)
    need(not rest and all(at < size for at in leaves), "hashes that belong to nothing")
    return {row["key"]: json.loads(unbase64(row["record"])) for row in rows}
def check_signature(jws: str, position: int, keys: Keys, history: Keys | None, used: set[str]) -> Keys:
    """The payload of a batch; its signature is verified when the key is there."""
    parts = jws.split(".")
    need(len(parts) == 3, "a JWS without three parts")
    header, payload, signature = *(json.loads(unbase64(part)) for part in parts[:2]), unbase64(parts[2], 64)
    key, name = keys.get(header["kid"]), header["kid"]
    if history is not None:
        name = f"key/{payload['issuer']}/{name}"
        key, record = history[name]["jwk"], history[name]
        until = record.get("until", 0) if record.get("retired") else position
        need(record["since"] <= position <= until, "a key that was not valid then")
    if key is not None:
        used.add(name)
        signed, x = f"{parts[0]}.{parts[1]}".encode(), unbase64(key["x"], 32)
        try:
            if key["kty"] == "OKP" and header["alg"] == "Ed25519":
                ed25519.Ed25519PublicKey.from_public_bytes(x).verify(signature, signed)
            else:
                need(header["alg"] == "ES256", "a signature of another algorithm")
                point = ec.EllipticCurvePublicKey.from_encoded_point(CURVE, b"\x04" + x + unbase64(key["y"], 32))
                r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
                point.verify(utils.encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            raise Wrong("an issuer's signature that is wrong") from None
    return dict(payload)
def check_events(receipt: Keys, app_hash: bytes, history: Keys | None) -> list[dict[str, Any]]:
    size, keys, used, before = whole(receipt["size"], 1), {}, set[str](), 0
    for part in receipt.get("keys", []):
        key = fields(part, "crv kid kty x", "y")
        named = json.dumps({name: key[name] for name in sorted(key) if name != "kid"}, separators=(",", ":"))
        need(unbase64(key["kid"]) == sha256(named.encode()), "a wrong key")
        need(key["kid"] not in keys, "a key twice")
        keys[key["kid"]] = key
    for part in receipt["events"]:
        row = fields(part, "batch content height position time_ms", "path")
        batch = fields(row["batch"], "index jws", "path")
        need(whole(row["position"], 1) > before, "events in a wrong order")
        before = row["position"]
        index = whole(batch["index"], 0, 2**32 - 1)
        record = whole(row["height"], 1).to_bytes(8) + whole(row["time_ms"]).to_bytes(8) + index.to_bytes(4)
        path = [unbase64(one, 32) for one in row.get("path", [])]
        root = climb(leaf(record + sha256(batch["jws"].encode())), row["position"] - 1, size, path)
        check_section(receipt, "events", size.to_bytes(8) + root, app_hash)
        payload = check_signature(batch["jws"], before, keys, history, used)
        content = json.dumps(row["content"], **CANONICAL).encode()
        path = [unbase64(one, 32) for one in batch.get("path", [])]
        need(climb(leaf(content), index, payload["count"], path).hex() == payload["root"], "another event")
    need(used == set(keys if history is None else history), "a key that nothing needs")
    return list(receipt["events"])
def check_claims(receipt: dict[str, Any], app_hash: bytes) -> list[bytes]:
    """The records of all claims on the key: key, issuer, first, last, version, hashlink, is deleted."""
    claims = fields(receipt["claims"], "key path", "bucket")
    need(re.fullmatch("[0-9a-f]{64}", claims["key"], re.ASCII), "a wrong key")
    need(claims.get("bucket") != "", "an empty bucket that is not left out")
    key, bucket = bytes.fromhex(claims["key"]), unbase64(claims.get("bucket", ""))
    records = [bucket[at : at + 121] for at in range(0, len(bucket), 121)]
    need(len(bucket) % 121 == 0 and all(one[:2] == key[:2] for one in records), "a bucket that is none")
    need([one[:64] for one in records] == sorted({one[:64] for one in records}), "claims in a wrong order")
    path = [unbase64(one, 32) for one in claims["path"]]
    check_section(receipt, "claims", climb(leaf(bucket), int.from_bytes(key[:2]), 65536, path), app_hash)
    return [one for one in records if one[:32] == key]
def verify(raw: bytes, genesis: dict[str, Any]) -> list[dict[str, Any]]:
    """The events that a receipt proves. Raises `Wrong`."""
    try:
        receipt = json.loads(raw.decode())
        need(json.dumps(receipt, **CANONICAL).encode() == raw, "not in its one form")
        optional = "claims events history keys size steps"
        fields(receipt, "block chain_id digest format ruleset state", optional)
        rest = json.dumps({name: receipt[name] for name in receipt if name != "digest"}, **CANONICAL)
        need(unbase64(receipt["digest"], 32) == sha256(rest.encode()), "damaged")
        need(receipt["format"] == "hansa-receipt/1", "another format")
        need(receipt["chain_id"] == genesis["chain_id"], "another league")
        need(all(receipt.get(name, True) for name in optional.split()), "an empty list that is not left out")
        events, claims, shown = (name in receipt for name in ("events", "claims", "history"))
        need(events or claims, "it proves nothing")
        need(events == ("size" in receipt) and (events or "keys" not in receipt), "parts of no event")
        remembers = SECTIONS[receipt["ruleset"]] > 8  # whether members change, and their keys are remembered
        need(shown == (events and remembers) and not (shown and "keys" in receipt), "keys that are not proved")
        need(set(receipt["state"]) == {name for name in PLACES if name in receipt}, "paths of nothing")
        blocks = [LightBlock(one, receipt["chain_id"]) for one in [*receipt.get("steps", []), receipt["block"]]]
        follow(blocks, genesis)
        history = check_history(receipt, blocks[-1].app_hash) if shown else None
        rows = check_events(receipt, blocks[-1].app_hash, history) if events else []
        records = check_claims(receipt, blocks[-1].app_hash) if claims else []
        for row in rows if claims else []:
            issuer = sha256(json.loads(unbase64(row["batch"]["jws"].split(".")[1]))["issuer"].encode())
            of_issuer = [one for one in records if one[32:64] == issuer]
            need(row["content"]["entity"]["key"] == receipt["claims"]["key"] and of_issuer, "other claims")
            need(row["position"] <= int.from_bytes(of_issuer[0][72:80]), "a claim that is older than its event")
    except MALFORMED as error:
        raise Wrong(f"not of the right form: {error!r}") from error
    return rows

if __name__ == "__main__":
    for row in verify(Path(sys.argv[1]).read_bytes(), json.loads(Path(sys.argv[2]).read_text())):
        sys.stdout.write(f"{row['position']} {row['content']['type']} {row['content']['entity']['key']}\n")
