"""Whatever stands where something is to be written, and is not ours, stays."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lm_eval_calibration.errors import OutputError
from lm_eval_calibration.files import (
    JSON,
    JSON_LINES,
    MODEL_CARD,
    PAGE,
    PDF,
    PNG,
    SVG,
    TENSORS,
    check_file,
    check_folder,
    claim_folder,
    is_stream,
    remove_work,
    staging,
    stamped,
    write_text,
)
from lm_eval_calibration.files.staging import NOTE

FORMATS = (JSON, JSON_LINES, MODEL_CARD, PAGE, PDF, PNG, SVG, TENSORS)
FOREIGN = (
    b"text", b"{}", b"[1]", b'{"lm_eval_calibration": 1}', b"\x00" * 100, b"\xff" * 100,
    b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ", b"---\nlibrary_name: transformers\n---\n",
    b"<svg></svg>", b"\x89PNG\r\n\x1a\n", b"%PDF-1.4 /Creator (Word)", b"[" * 100_000,
    b'<p>&lt;meta name="generator" content="lm-eval-calibration"&gt;',
)  # fmt: skip


@pytest.mark.parametrize("kind", FORMATS, ids=lambda kind: kind.what)
def test_files_of_others_are_refused_and_replaced_on_request(kind: object, tmp_path: Path) -> None:
    path = tmp_path / "x"
    for content in FOREIGN:
        path.write_bytes(content)
        with pytest.raises(OutputError, match="--overwrite"):
            write_text(path, "new", kind)  # type: ignore[arg-type]
        assert path.read_bytes() == content
    write_text(path, "new", kind, overwrite=True)  # type: ignore[arg-type]
    assert path.read_text() == "new" and os.listdir(tmp_path) == ["x"]


def folder(path: Path) -> None:
    path.mkdir()


def loop(path: Path) -> None:
    path.symlink_to(path)


def under_a_file(path: Path) -> None:
    path.parent.rmdir()
    path.parent.write_text("mine")


PLACES: dict[Callable[[Path], object], str] = {
    folder: "is a folder",
    loop: "symbolic link",
    under_a_file: "no folder|Not a directory",
}


@pytest.mark.parametrize("make", PLACES, ids=lambda make: make.__name__)
@pytest.mark.parametrize("overwrite", [False, True])
def test_places_that_take_no_file(
    make: Callable[[Path], object], overwrite: bool, tmp_path: Path
) -> None:
    (parent := tmp_path / "parent").mkdir()
    make(path := parent / "x")
    with pytest.raises(OutputError, match=PLACES[make]):
        check_file(path, PAGE, overwrite=overwrite)
    with pytest.raises(OutputError, match=PLACES[make]):
        write_text(path, "new", PAGE, overwrite=overwrite)
    assert os.path.lexists(path) or parent.read_text() == "mine"


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "x" * 300 + "/y"])
def test_names_that_cannot_be(name: str, tmp_path: Path) -> None:
    for refuse in (lambda p: check_file(p, PAGE), lambda p: check_folder(p, "temperature")):
        with pytest.raises(OutputError, match="cannot be written"):
            refuse(tmp_path / name)
    assert not os.listdir(tmp_path)


def test_an_empty_file_is_nothing(tmp_path: Path) -> None:
    (path := tmp_path / "x").touch()
    write_text(path, "new", PAGE)
    assert path.read_text() == "new"


def test_a_device_stays(tmp_path: Path) -> None:
    path = tmp_path / "null"
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        path.write_bytes(b"x")
    except OSError:
        pytest.skip("devices cannot be made here")
    for link in (path, tmp_path / "link"):
        if link != path:
            link.symlink_to(path)
        assert is_stream(link)
        write_text(link, "x" * 1000, PAGE)
        assert stat.S_ISCHR(path.stat().st_mode) and os.minor(path.stat().st_rdev) == 3
    os.mknod(block := tmp_path / "block", stat.S_IFBLK | 0o666, os.makedev(240, 240))
    with pytest.raises(OutputError, match="block device"):
        write_text(block, "x", PAGE, overwrite=True)
    assert stat.S_ISBLK(block.stat().st_mode)


def test_folders_of_ours_and_of_others(tmp_path: Path) -> None:
    ours = claim_folder(tmp_path / "ours", "temperature")
    claim_folder(ours, "temperature")
    (ours / "config.json").write_text("{}")
    with pytest.raises(OutputError, match="is the folder of `temperature`, not of `platt`"):
        claim_folder(ours, "platt")
    claim_folder(ours, "platt", overwrite=True)
    with pytest.raises(OutputError, match=r"config\.json` is there already"):
        check_folder(ours, "platt", {"config.json": JSON})
    (others := tmp_path / "others").mkdir()
    (others / "thesis.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match=r"not empty \(thesis\.txt\)"):
            claim_folder(others, "temperature", overwrite=overwrite)
    with pytest.raises(OutputError, match="is a file"):
        check_folder(others / "thesis.txt", "temperature")
    (note := tmp_path / "noted" / ".lm-eval-calibration.json").parent.mkdir()
    note.write_text('{"kind": "temperature"}')  # somebody else's
    with pytest.raises(OutputError, match="not JSON of"):
        claim_folder(note.parent, "temperature")
    assert os.listdir(others) == ["thesis.txt"] and note.read_text() == '{"kind": "temperature"}'


def test_a_copy_that_lost_its_note_is_known_by_its_configuration(tmp_path: Path) -> None:
    write_text(tmp_path / "config.json", str(stamped({"method": "platt"})).replace("'", '"'), JSON)
    check_folder(tmp_path, "platt")
    with pytest.raises(OutputError, match="is the folder of `platt`"):
        check_folder(tmp_path, "vector")


def test_only_our_work_is_removed(tmp_path: Path) -> None:
    work = claim_folder(tmp_path, "swag", work=".training") / ".training"
    (work / "0").mkdir()
    claim_folder(tmp_path, "swag", work=".training")  # gone on with
    assert (work / "0").is_dir()
    (link := tmp_path / "link").symlink_to(work)
    remove_work(link)
    assert (work / "0").is_dir()
    remove_work(work)
    assert not work.exists()
    (work / "data").mkdir(parents=True)
    with pytest.raises(OutputError, match="not made by"):
        claim_folder(tmp_path, "swag", work=".training")
    remove_work(work)
    assert (work / "data").is_dir()
    (work / "data").rename(work / ".hidden")
    with pytest.raises(OutputError, match=r"\.hidden"):
        claim_folder(tmp_path, "swag", work=".training")
    (work / ".hidden").rmdir()
    remove_work(claim_folder(tmp_path, "swag", work=".training") / ".training")
    assert work.is_dir() and not os.listdir(work)  # an empty folder of somebody's is so again


class Killed(BaseException):
    """Nothing is done after it."""


@pytest.mark.parametrize("was_there", [False, True])
def test_work_whose_removal_is_killed_goes_with_the_next(
    was_there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for moment in range(20):
        folder = tmp_path / str(moment)
        (folder / ".training").mkdir(parents=True) if was_there else folder.mkdir()
        work = claim_folder(folder, "swag", work=".training") / ".training"
        (work / "0").mkdir()
        (work / "0" / "state").touch()
        left = [moment]

        def kills(name: str, left: list[int] = left) -> Callable[..., Any]:
            does = getattr(os, name)

            def dies(*arguments: Any, **options: Any) -> Any:
                left[0] -= 1
                if left[0] < 0:
                    raise Killed
                return does(*arguments, **options)

            return dies

        with monkeypatch.context() as patch, contextlib.suppress(Killed):
            for name in ("unlink", "rmdir", "rename", "mkdir"):
                patch.setattr(os, name, kills(name))
            remove_work(work)
        with monkeypatch.context() as patch:  # the next process
            patch.setattr(staging, "_lives", lambda process: False)
            patch.setattr(staging, "_cleared", set())
            patch.setattr(staging, "SECONDS", -1)
            claim_folder(folder, "swag", work=".training")
            remove_work(work)
        assert sorted(os.listdir(folder)) == [NOTE] + [".training"] * was_there, moment
        assert not was_there or not os.listdir(work)
        if left[0] > 0:
            return
    raise AssertionError("it was killed in the midst each time")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_places_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        check_file(tmp_path / "a" / "x", PAGE)
    tmp_path.chmod(0o700)


def test_messages_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("mine")
    with pytest.raises(OutputError) as caught:
        check_file(tmp_path / "x", PAGE)
    assert not re.search(r"[\r\n]", str(caught.value))


@pytest.mark.parametrize(
    "name", ["samples_arc_2026-01-02T03-04-05.678901.jsonl", "results_2026-01-02T03-04-05.6.json"]
)
def test_logs_of_the_harness_stay_whatever_is_said(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("{}")
    (tmp_path / "link").symlink_to(name)
    for path in (tmp_path / name, tmp_path / "link"):
        with pytest.raises(OutputError, match="is a log of the harness"):
            check_file(path, PAGE, overwrite=True)
