"""Backup while others write, restore into nothing: what comes back is whole, and what is no backup is refused."""

from __future__ import annotations

import hashlib
import io
import json
import os
import resource
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.gallery.helpers import churn_until_told, made, picture, processes, stored

from fantascope.errors import GalleryCorrupt, GalleryError, GalleryTooNew, InvalidValue, NotFound, StorageError
from fantascope.gallery import Gallery
from fantascope.gallery.restore import Restored, restore

Members = dict[str, bytes]


def now() -> datetime:
    return datetime.now(UTC)


def bring_back(source: Path, folder: Path, **more: Any) -> Restored:
    return restore(source, folder, clock=now, **more)


@pytest.fixture
def filled(gallery: Gallery) -> Gallery:
    """A gallery with something of everything."""
    gallery.people.add("ada", "standard")
    ada = gallery.of("ada")
    hold = ada.hold("ada", 6, "imagine", job="a")
    for k in range(3):
        ada.put(made(k, credits=1.5), hold=hold, credits=1.5, job=("a", k))
    gallery.remove(ada.put(made(9)).id)
    gallery.ingest(picture(8))
    gallery.hold("bob", 4, "imagine")
    gallery.topup("ada", 115, "a gift")
    return gallery


def test_what_was_saved_comes_back(filled: Gallery, folder: Path, tmp_path: Path) -> None:
    token = filled.people.issue("ada")
    heard: list[tuple[int, int]] = []
    saved = filled.backup(tmp_path / "all.tar", told=lambda *far: heard.append(far))
    assert (saved.artifacts, saved.people, saved.keys) == (4, 1, False)
    assert heard[-1] == (4, 4) and saved.size == (tmp_path / "all.tar").stat().st_size
    assert (tmp_path / "all.tar").stat().st_mode & 0o777 == 0o600 and list(tmp_path.iterdir()) == [tmp_path / "all.tar"]
    heard.clear()
    found = bring_back(tmp_path / "all.tar", tmp_path / "new", told=lambda *far: heard.append(far))
    assert (found.artifacts, found.problems, found.keys_found) == (4, [], False) and heard[-1] == (saved.size,) * 2
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    with Gallery.open(tmp_path / "new", plan="free") as back:
        assert list(back.verify()) == [] and back.sweep() == []
        assert [e.id for e in back.list()] == [e.id for e in filled.list()]
        assert [back.get(e.id).data for e in back.list()] == [filled.get(e.id).data for e in filled.list()]
        person = back.people.who(token)
        assert person is not None and person.plan == "standard" and back.job_holds() == filled.job_holds()
        assert back.outcomes("a") == filled.outcomes("a") and len(back.of("ada").list()) == 3
        assert back.balance("ada") == filled.balance("ada"), "what a job holds stays held"
        assert (back.balance("bob").held, filled.balance("bob").held) == (0, 4), "what a process held is given back"
        assert back.put(made(50)).path in stored(tmp_path / "new")
    assert len(stored(folder)) == 4 and list(filled.verify()) == []


def test_a_backup_while_others_write_is_of_one_moment(folder: Path, tmp_path: Path) -> None:
    stop, ready = processes.Event(), processes.Queue()
    workers = [processes.Process(target=churn_until_told, args=(str(folder), k, stop, ready)) for k in range(2)]
    for worker in workers:
        worker.start()
    for _ in workers:
        ready.get(timeout=60)
    counts = []
    with Gallery.open(folder, read_only=True) as reader:
        for number in range(3):
            saved = reader.backup(tmp_path / f"{number}.tar", told=lambda *far: time.sleep(0.001))
            counts.append(saved.artifacts)
    assert all(worker.is_alive() for worker in workers)
    stop.set()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    for number, count in enumerate(counts):
        found = bring_back(tmp_path / f"{number}.tar", tmp_path / f"new{number}")
        assert found.problems == [] and found.artifacts == count
        with Gallery.open(tmp_path / f"new{number}") as back:
            assert list(back.verify()) == [] and back.sweep() == [] and len(back.list(limit=10_000)) == count
            balance = back.balance("local")
            assert balance.held == 0 and balance.used > 0
            back.put(made(777_777))
    assert counts[-1] > 0


def test_what_is_removed_meanwhile_is_out_of_the_copy_too(
    filled: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = filled.list()[-1].id
    filled.backup(tmp_path / "all.tar", told=lambda done, total: filled.remove(gone, force=True) if done == 0 else None)
    found = bring_back(tmp_path / "all.tar", tmp_path / "new")
    assert found.artifacts == 3 and found.problems == []
    with Gallery.open(tmp_path / "new") as back:
        assert list(back.verify()) == [] and gone not in {entry.id for entry in back.list()}
        with pytest.raises(NotFound, match="was removed"):
            back.get(gone)


def test_a_damaged_gallery_is_not_saved(filled: Gallery, tmp_path: Path) -> None:
    kept = filled.get(filled.list()[0].id)
    assert kept.path is not None
    kept.path.write_bytes(kept.data + b"x")
    with pytest.raises(GalleryCorrupt, match="has changed"):
        filled.backup(tmp_path / "all.tar")
    kept.path.unlink()
    with pytest.raises(GalleryCorrupt, match="is missing"):
        filled.backup(tmp_path / "all.tar")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over(filled: Gallery, tmp_path: Path) -> None:
    target = tmp_path / "all.tar"
    target.write_bytes(b"precious")
    with pytest.raises(InvalidValue, match="not overwritten"):
        filled.backup(target)
    with pytest.raises(InvalidValue, match="no folder"):
        filled.backup(tmp_path / "nowhere" / "all.tar")
    with pytest.raises(GalleryError, match="whole gallery"):
        filled.of("ada").backup(tmp_path / "hers.tar")
    assert target.read_bytes() == b"precious" and filled.backup(target, overwrite=True).artifacts == 4
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    for place in ("full", "all.tar"):
        with pytest.raises(InvalidValue, match="not empty"):
            bring_back(target, tmp_path / place)
    (tmp_path / "empty").mkdir()
    assert bring_back(target, tmp_path / "empty").artifacts == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.tar", "empty", "full"]


def test_keys_are_in_it_only_if_asked_for(filled: Gallery, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    (keys / "trust").mkdir(parents=True)
    for name in ("signer.pem", "root.pem", "trust/other.pem", "notes.txt"):
        (keys / name).write_text(f"secret {name}")
    assert not filled.backup(tmp_path / "a.tar").keys and b"secret" not in (tmp_path / "a.tar").read_bytes()
    assert filled.backup(tmp_path / "b.tar", keys=keys).keys
    found = bring_back(tmp_path / "b.tar", tmp_path / "one")
    assert (
        found.keys_found
        and not found.keys_taken
        and b"secret" not in b"".join(map(Path.read_bytes, stored(tmp_path / "one")))
    )
    with pytest.raises(InvalidValue, match="not empty"):
        bring_back(tmp_path / "b.tar", tmp_path / "two", keys=keys)
    assert not (tmp_path / "two").exists()
    assert bring_back(tmp_path / "b.tar", tmp_path / "two", keys=tmp_path / "back").keys_taken
    back = {path.relative_to(tmp_path / "back").as_posix() for path in (tmp_path / "back").rglob("*.pem")}
    assert back == {"signer.pem", "root.pem", "trust/other.pem"}
    assert (tmp_path / "back" / "signer.pem").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "back").stat().st_mode & 0o777 == 0o700
    assert bring_back(tmp_path / "a.tar", tmp_path / "three", keys=tmp_path / "none").keys_found is False


def members(source: Path) -> Members:
    with tarfile.open(source) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def pack(target: Path, found: Members, *more: tuple[tarfile.TarInfo, bytes]) -> None:
    with tarfile.open(target, "w") as tar:
        for name, data in found.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for info, data in more:
            tar.addfile(info, io.BytesIO(data))


def info(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    made_of = tarfile.TarInfo(name)
    made_of.type, made_of.linkname, made_of.size = kind, link, size
    return made_of


EVIL = str(Path(tempfile.gettempdir()) / f"evil-{os.getpid()}")
STRANGERS = {
    "outside": (info("../evil", size=1), b"x"),
    "absolute": (info(EVIL, size=1), b"x"),
    "through": (info("objects/../../evil.png", size=1), b"x"),
    "link": (info("objects/aa/" + "0" * 62 + ".png", tarfile.SYMTYPE, "/etc/passwd"), b""),
    "hard link": (info("objects/aa/" + "0" * 62 + ".png", tarfile.LNKTYPE, "gallery.db"), b""),
    "folder": (info("objects/aa", tarfile.DIRTYPE), b""),
    "device": (info("gallery.db2", tarfile.CHRTYPE), b""),
    "key path": (info("keys/../signer.pem", size=1), b"x"),
    "log": (info("gallery.db-wal", size=1), b"x"),
    "twice": (info("gallery.db", size=1), b"x"),
    "control": (info("keys/a\x1b[31m.pem", size=1), b"x"),
}


@pytest.mark.parametrize("what", STRANGERS)
def test_members_that_no_backup_holds_are_refused(filled: Gallery, tmp_path: Path, what: str) -> None:
    filled.backup(tmp_path / "all.tar")
    pack(tmp_path / "bad.tar", members(tmp_path / "all.tar"), STRANGERS[what])
    with pytest.raises(InvalidValue, match="which no backup holds"):
        bring_back(tmp_path / "bad.tar", tmp_path / "new")
    assert not Path(EVIL).exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.tar", "bad.tar"]


def edited(change: str) -> Callable[[Members], None]:
    def edit(found: Members) -> None:
        database = sqlite3.connect(":memory:")
        database.deserialize(found["gallery.db"])
        database.executescript(change)
        found["gallery.db"] = database.serialize()
        database.close()
        manifest = json.loads(found["manifest.json"])
        manifest["sha256"]["gallery.db"] = hashlib.sha256(found["gallery.db"]).hexdigest()
        found["manifest.json"] = json.dumps(manifest).encode()

    return edit


def first(found: Members) -> str:
    return next(name for name in found if name.startswith("objects/"))


BAD: dict[str, tuple[Callable[[Members], Any], type[Exception], str]] = {
    "changed file": (lambda found: found.update({first(found): b"other"}), GalleryCorrupt, "does not have its hash"),
    "changed database": (lambda found: found.update({"gallery.db": b"x"}), GalleryCorrupt, "gallery.db .*its hash"),
    "no manifest": (lambda found: found.pop("manifest.json"), InvalidValue, "holds no manifest"),
    "no database": (lambda found: found.pop("gallery.db"), InvalidValue, "holds no gallery"),
    "key without hash": (lambda found: found.update({"keys/signer.pem": b"x"}), GalleryCorrupt, "keys/signer.pem"),
    "manifest": (lambda found: found.update({"manifest.json": b"[" * 100_000}), InvalidValue, "its manifest"),
    "manifest kind": (lambda found: found.update({"manifest.json": b"[]"}), InvalidValue, "manifest cannot be read"),
    "format": (
        lambda found: found.update({"manifest.json": found["manifest.json"].replace(b"backup 1", b"backup 2")}),
        InvalidValue,
        "another format",
    ),
    "trigger": (
        edited("CREATE TRIGGER t AFTER INSERT ON owners BEGIN DELETE FROM owners; END"), GalleryCorrupt, "holds 't'",
    ),
    "view": (edited("CREATE VIEW v AS SELECT 1"), GalleryCorrupt, "holds 'v'"),
    "newer": (edited("INSERT INTO schema_versions VALUES (99, '2030')"), GalleryTooNew, "version 99"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_what_is_amiss_is_refused(filled: Gallery, tmp_path: Path, what: str) -> None:
    filled.backup(tmp_path / "all.tar")
    found = members(tmp_path / "all.tar")
    damage, kind, said = BAD[what]
    damage(found)
    pack(tmp_path / "bad.tar", found)
    with pytest.raises(kind, match=said):
        bring_back(tmp_path / "bad.tar", tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.tar", "bad.tar"]


def test_a_file_that_is_cut_off_or_none_is_refused(filled: Gallery, tmp_path: Path) -> None:
    filled.backup(tmp_path / "all.tar")
    whole = (tmp_path / "all.tar").read_bytes()
    for cut in (0, 100, 700, len(whole) // 3, len(whole) // 2):
        (tmp_path / "bad.tar").write_bytes(whole[:cut])
        with pytest.raises(InvalidValue, match="is no backup"):
            bring_back(tmp_path / "bad.tar", tmp_path / "new")
    with tarfile.open(tmp_path / "bad.tar", "w:gz") as tar:
        tar.add(tmp_path / "all.tar", "gallery.db")
    with pytest.raises(InvalidValue, match="is no backup"):
        bring_back(tmp_path / "bad.tar", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_what_was_amiss_before_comes_back_and_is_said(filled: Gallery, tmp_path: Path) -> None:
    filled.backup(tmp_path / "all.tar")
    found = members(tmp_path / "all.tar")
    lost = first(found)
    del found[lost]
    edited("UPDATE entries SET held = held - 1 WHERE kind = 'charge'")(found)
    pack(tmp_path / "bad.tar", found)
    back = bring_back(tmp_path / "bad.tar", tmp_path / "new")
    assert {problem.kind for problem in back.problems} == {"missing", "ledger"} and back.artifacts == 3
    assert any(str(tmp_path / "new" / lost) in problem.message for problem in back.problems)
    with Gallery.open(tmp_path / "new", read_only=True) as gallery:
        assert {problem.kind for problem in gallery.verify()} == {"missing", "ledger"}


def test_an_older_backup_is_brought_up(filled: Gallery, tmp_path: Path) -> None:
    filled.backup(tmp_path / "all.tar")
    found = members(tmp_path / "all.tar")
    tables = ("tokens", "people", "job_holds", "outcomes", "looks", "owners")
    edited(";".join(f"DROP TABLE {name}" for name in tables) + ";DELETE FROM schema_versions WHERE version > 3")(found)
    pack(tmp_path / "old.tar", found)
    assert bring_back(tmp_path / "old.tar", tmp_path / "new").problems == []
    with Gallery.open(tmp_path / "new") as back:
        assert len(back.list()) == 4 and len(back.of("ada").list()) == 3 and list(back.verify()) == []


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from fantascope.cli.app import run

    home, new, third = tmp_path / "home", tmp_path / "new", tmp_path / "third"
    with Gallery.open(home / "gallery") as gallery:
        kept = gallery.put(made(1))
        gallery.people.add("ada", "free")
    (home / "keys").mkdir()
    (home / "keys" / "signer.pem").write_text("secret")

    def say(place: Path, *words: str) -> tuple[int, str]:
        monkeypatch.setenv("FANTASCOPE_HOME", str(place))
        code = run(["gallery", *words])
        told = capsys.readouterr()
        return code, told.out + told.err

    file = str(tmp_path / "all.tar")
    code, said = say(home, "backup", file, "--keys")
    assert code == 0 and "1 artifacts, 1 people" in said and "keys are in it" in said
    code, said = say(home, "backup", file)
    assert code == 2 and "not overwritten" in said
    code, said = say(home, "restore", file)
    assert code == 2 and "not empty" in said
    code, said = say(home, "restore", file, "--into", str(new), "--keys")
    assert code == 0 and "1 artifacts are back" in said and (new / "keys" / "signer.pem").read_text() == "secret"
    code, said = say(new, "verify")
    assert code == 0 and "Every file has its hash" in said and kept.id[7:19] in say(new, "list")[1]
    code, said = say(home, "restore", file, "--into", str(new))
    assert code == 2 and "not an empty folder" in said
    told = json.loads(say(third, "restore", file, "--json")[1])
    assert told["event"] == "restored" and (told["artifacts"], told["problems"], told["keys"]) == (1, 0, False)
    assert (
        say(third, "backup", file, "--force")[0] == 0
        and "keys are not in it" in say(third, "backup", file, "--force")[1]
    )
    assert say(third, "restore", str(tmp_path / "none.tar"))[0] == 2


def test_a_full_disk_leaves_nothing(filled: Gallery, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    filled.ingest(picture(5, side=300))
    filled.backup(tmp_path / "all.tar")
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(StorageError, match="full"):
            filled.backup(tmp_path / "more.tar")
        with pytest.raises(StorageError, match="full"):
            bring_back(tmp_path / "all.tar", tmp_path / "new")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == [tmp_path / "all.tar"]
    assert list(filled.verify()) == []
