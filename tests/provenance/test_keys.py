"""The signing key: made once, by whoever is first, readable by its owner alone."""

from __future__ import annotations

import datetime
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from fantascope.errors import ProvenanceError
from fantascope.provenance.keys import anchors, ensure_keys

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@posix
def test_first_use_makes_them_and_closes_them(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "keys"
    made = ensure_keys(folder)
    assert mode(folder) == 0o700
    assert mode(folder / "signer.pem") == 0o600
    assert sorted(path.name for path in folder.iterdir()) == ["root.pem", "signer.pem"]
    assert ensure_keys(folder) == made
    assert anchors(folder).strip() == made.root.strip()
    assert b"PRIVATE" not in anchors(folder)
    assert "PRIVATE" not in repr(made)


@posix
def test_open_permissions_are_closed_again(tmp_path: Path) -> None:
    ensure_keys(tmp_path / "keys")
    (tmp_path / "keys").chmod(0o755)
    (tmp_path / "keys" / "signer.pem").chmod(0o644)
    ensure_keys(tmp_path / "keys")
    assert mode(tmp_path / "keys") == 0o700
    assert mode(tmp_path / "keys" / "signer.pem") == 0o600


def test_processes_at_once_agree(tmp_path: Path) -> None:
    script = (
        "import hashlib, sys; from pathlib import Path;"
        "from fantascope.provenance.keys import ensure_keys; sys.stdin.read(1);"
        "keys = ensure_keys(Path(sys.argv[1])); print(hashlib.sha256(keys.private + keys.chain).hexdigest())"
    )
    folder = tmp_path / "keys"
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for run in runs:
        assert run.stdin is not None
        run.stdin.write("g")
        run.stdin.flush()
    said = {run.communicate()[0] for run in runs}
    assert len(said) == 1
    assert all(len(line) == 65 for line in said)
    assert sorted(path.name for path in folder.iterdir()) == ["root.pem", "signer.pem"]


def test_the_certificates_name_nobody(tmp_path: Path) -> None:
    from cryptography import x509

    keys = ensure_keys(tmp_path / "keys")
    leaf, root = x509.load_pem_x509_certificates(keys.chain)
    names = {attribute.value for cert in (leaf, root) for attribute in cert.subject}
    assert names == {"Fantascope local studio", "Fantascope signer", "Fantascope root"}
    leaf.verify_directly_issued_by(root)
    years = (leaf.not_valid_after_utc - datetime.datetime.now(datetime.UTC)).days / 365
    assert years > 25
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_broken_key_file_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "signer.pem").write_bytes(b"not a key")
    with pytest.raises(ProvenanceError, match=r"signer\.pem does not hold"):
        ensure_keys(folder)
    assert (folder / "signer.pem").read_bytes() == b"not a key"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ProvenanceError, match="cannot be made or read"):
        ensure_keys(tmp_path / "file" / "keys")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_home(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(ProvenanceError, match="cannot be made"):
            ensure_keys(tmp_path / "keys")
    finally:
        tmp_path.chmod(0o700)
