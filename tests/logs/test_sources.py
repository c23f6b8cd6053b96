"""Archives, compressed files and addresses are read as the plain files that they hold."""

from __future__ import annotations

import functools
import gzip
import json
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pyarrow
import pytest
from command import run
from logged_lines import line

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs import packed, read_runs
from lm_eval_calibration.logs.packed import as_given
from lm_eval_calibration.logs.sources import expanded

DATE = "2026-01-02T03-04-05.678901"
TASKS = ("one", "two")


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A model's run of two tasks, with what is no log beside them."""
    folder = tmp_path / "runs" / "org__model"
    folder.mkdir(parents=True)
    for k, task in enumerate(TASKS):
        rows = [line(i, scores=[-1.0 - 0.1 * i * k, -1.5]) for i in range(20)]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"samples_{task}_{DATE}.jsonl").write_text(text)
    (folder / f"results_{DATE}.json").write_text(json.dumps({"model_name": "org/model"}))
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder.parent


def figures(path: Any) -> Any:
    found = json.loads(run("score", path, "--json", "--replicates", 10).stdout)["scores"]
    return {(s["run"], s["name"]): s["metrics"] for s in found}


def _zip(plain: Path, to: Path) -> Path:
    with zipfile.ZipFile(to / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in plain.rglob("*"):
            archive.write(file, file.relative_to(plain))
    return to / "all.zip"


def _tar(plain: Path, to: Path) -> Path:
    with tarfile.open(to / "all.tar.gz", "w:gz") as archive:
        archive.add(plain, "runs")
    return to / "all.tar.gz"


def _zst(plain: Path, to: Path) -> Path:
    with tarfile.open(to / "t.tar", "w") as archive:
        archive.add(plain, "runs")
    whole = pyarrow.compress((to / "t.tar").read_bytes(), "zstd", asbytes=True)
    (to / "all.tar.zst").write_bytes(whole)
    return to / "all.tar.zst"


def _each(plain: Path, to: Path) -> Path:
    """Some files compressed, in the folder where the others lie."""
    mixed = to / "org__model"
    mixed.mkdir()
    for file in (plain / "org__model").iterdir():
        data = file.read_bytes()
        if "one" in file.name:
            (mixed / f"{file.name}.gz").write_bytes(gzip.compress(data))
        elif "two" in file.name:
            (mixed / f"{file.name}.zst").write_bytes(pyarrow.compress(data, "zstd", asbytes=True))
        else:
            (mixed / file.name).write_bytes(data)
    return to


def _inside(plain: Path, to: Path) -> Path:
    """An archive in a folder, in which a file is compressed once more."""
    with zipfile.ZipFile(to / "all.zip", "w") as archive:
        for file in (plain / "org__model").glob("*.json*"):
            name = f"org__model/{file.name}"
            archive.writestr(f"{name}.gz", gzip.compress(file.read_bytes()))
    return to


@pytest.mark.parametrize("pack", [_zip, _tar, _zst, _each, _inside])
def test_packed(pack: Callable[[Path, Path], Path], plain: Path, tmp_path: Path) -> None:
    where = tmp_path / "packed"
    where.mkdir()
    assert figures(pack(plain, where)) == figures(plain)
    assert {("model", "one"), ("model", "two")} == set(figures(plain))


def test_a_file_alone(plain: Path, tmp_path: Path) -> None:
    (file,) = plain.rglob("*one*")
    small = tmp_path / f"{file.name}.gz"
    small.write_bytes(gzip.compress(file.read_bytes()))
    assert [*figures(small).values()] == [*figures(file).values()]


@pytest.fixture
def server(plain: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    handler = functools.partial(Quiet, directory=str(plain.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


def test_addresses(plain: Path, server: str) -> None:
    expected = figures(plain)
    assert figures(f"file://{plain}") == expected
    assert figures(f"{server}/runs/") == expected
    assert figures(f"{server}/{_zip(plain, plain.parent).name}") == expected
    memory = fsspec.filesystem("memory")
    memory.put(str(plain), "/kept", recursive=True)
    assert figures("memory://kept") == expected
    assert figures("memory://kept/org__model/samples_*.jsonl") == expected


def test_what_cannot_be_reached(server: str) -> None:
    for address, advice in (
        (f"{server}/nothing.zip", "curl -LO"),
        ("s3://bucket/runs", "aws s3 cp"),
        ("nosuch://x", "copy it here"),
    ):
        with pytest.raises(InvalidInputError, match=advice):
            expanded(address)
    with pytest.raises(InvalidInputError) as caught:
        expanded("http://me:hunter2secret@127.0.0.1:9/x.zip")
    assert "hunter2secret" not in str(caught.value)


def test_messages_name_what_was_given(plain: Path, tmp_path: Path) -> None:
    (file,) = plain.rglob("*one*")
    file.write_text(file.read_text() + "{broken\n")
    archive = _zip(plain, tmp_path)
    with pytest.raises(InvalidInputError) as caught:
        read_runs([archive])
    told = as_given(str(caught.value))
    assert f"{archive}/org__model/{file.name}" in told and "lm-calib-" not in told


def test_members_stay_in_the_archives_folder(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        for name in ("../out.json", "/abs.json", "a/../../up.json", "ok/in.json", "x.exe"):
            archive.writestr(name, "{}")
    ((folder,), _) = expanded(str(tmp_path / "evil.zip"))
    found = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    assert found == ["abs.json", "ok/in.json"]
    assert not list(folder.parent.glob("*.json")) and not (tmp_path / "up.json").exists()
    link = tarfile.TarInfo("link.json")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
    with tarfile.open(tmp_path / "links.tar", "w") as archive_:
        archive_.addfile(link)
    ((folder,), _) = expanded(str(tmp_path / "links.tar"))
    assert not list(folder.rglob("*"))


def test_damaged_and_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(b"x" * 100_000)[:60])
    (tmp_path / "no.zip").write_bytes(b"PK")
    (tmp_path / "no.tar.gz").write_bytes(b"nothing")
    for name in ("cut.jsonl.gz", "no.zip", "no.tar.gz"):
        with pytest.raises(InvalidInputError, match=f"{name} cannot be unpacked"):
            expanded(str(tmp_path / name))
    (tmp_path / "large.jsonl.gz").write_bytes(gzip.compress(b"x" * 100))
    monkeypatch.setattr(packed, "SPARE", 1 << 60)
    with pytest.raises(InvalidInputError, match="does not fit on the disk"):
        expanded(str(tmp_path / "large.jsonl.gz"))
