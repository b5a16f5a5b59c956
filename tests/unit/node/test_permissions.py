from __future__ import annotations

import stat
from pathlib import Path

from hansa.core.clock import ManualClock
from hansa.node.folder import init_member
from hansa.node.folder.permissions import close_to_others, open_to_others


def test_a_new_folder_is_its_owners_alone(tmp_path: Path) -> None:
    init_member(tmp_path / "d", "lubeck", "http://lubeck.example", ManualClock(), p2p_port=26656)
    assert list(open_to_others(tmp_path / "d")) == []


def test_what_others_could_use_is_closed_and_what_links_lead_to_is_not_touched(tmp_path: Path) -> None:
    folder, outside = tmp_path / "d", tmp_path / "outside"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "b").write_bytes(b"")
    outside.write_bytes(b"")
    (folder / "link").symlink_to(outside)
    for path, mode in ((folder, 0o755), (folder / "a", 0o750), (folder / "a" / "b", 0o640), (outside, 0o644)):
        path.chmod(mode)
    assert set(open_to_others(folder)) == {folder, folder / "a", folder / "a" / "b"}
    assert close_to_others(folder) == (3, 0)
    assert list(open_to_others(folder)) == []
    assert stat.S_IMODE((folder / "a" / "b").stat().st_mode) == 0o600
    assert stat.S_IMODE(outside.stat().st_mode) == 0o644
