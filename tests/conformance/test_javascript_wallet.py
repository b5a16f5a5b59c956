"""Logins with a wallet in JavaScript: `@openid4vc/openid4vp` reads, verifies and answers our requests."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.certificates import new_key
from tests.support.credentials import HOLDER, NOW_S, b64, jwk, sd_jwt
from tests.support.login_site import LoginSite

WALLET: Final = Path(__file__).parent / "javascript_wallet"
FILES: Final = ("package.json", "package-lock.json", "wallet.mjs")

pytestmark = [pytest.mark.kits, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def wallet() -> Path:
    """The wallet, with its locked packages; they come from the package registry when they are not here."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("this wallet needs Node.js: install node and npm")
    content = b"".join((WALLET / name).read_bytes() for name in FILES)
    folder = Path.home() / ".cache" / "hansa-javascript-wallet" / hashlib.sha256(content).hexdigest()[:16]
    if not (folder / "node_modules" / "@openid4vc").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            shutil.copy(WALLET / name, folder)
        command = ["npm", "ci", "--silent", "--ignore-scripts", "--prefix", str(folder)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return folder / "wallet.mjs"


@pytest.fixture(scope="module")
def site() -> Iterator[LoginSite]:
    with LoginSite() as served:
        yield served


def begun(site: LoginSite) -> str:
    """The link to the request of a login, for a wallet on the same device."""
    login = site.scene.begin()
    return site.scene.logins.links(login.same_device, login.other_device).same_device[0].address


def private_jwk(key: Any) -> dict[str, str]:
    number: int = key.private_numbers().private_value
    return {**jwk(key), "d": b64(number.to_bytes(32, "big"))}


def answered(wallet: Path, request: str, folder: Path, method: str, **changes: Any) -> dict[str, Any]:
    """What the wallet says of the answer to its presentation."""
    credential = {
        "format": "dc+sd-jwt",
        "text": sd_jwt(),
        "key": private_jwk(HOLDER),
        "now_s": NOW_S,
    } | changes
    file = folder / "credential.json"
    file.write_text(json.dumps(credential))
    command = ["node", str(wallet), request, str(file), method]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    report: dict[str, Any] = json.loads(ended.stdout)
    return report


@pytest.mark.parametrize("method", ["get", "post"])
def test_it_logs_somebody_in(wallet: Path, site: LoginSite, tmp_path: Path, method: str) -> None:
    report = answered(wallet, begun(site), tmp_path, method)
    assert (report["mode"], report["status"]) == ("direct_post.jwt", 200)


def test_what_another_holder_presents_is_refused(wallet: Path, site: LoginSite, tmp_path: Path) -> None:
    report = answered(wallet, begun(site), tmp_path, "get", key=private_jwk(new_key()))
    assert report["status"] == 400
