"""CSV files as people have them: commas at line ends, German decimals, other separators and encodings."""

from __future__ import annotations

from pathlib import Path

import pytest

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs import Columns, read_table

PLAIN = Columns("p", "ok")


def written(folder: Path, text: str, encoding: str = "utf-8", name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    "text",
    [
        "id,p,ok\n1,.9,1,\n2,.7,0,\n",
        "id,p,ok\n\n1,.9,1\n\n2,.7,0",
        "\ufeffp,ok\r\n.9,1\r\n.7,0\r\n",
        'p,ok,answer\n.9,1,"Paris, France"\n.7,0,"a\nb"\n',
    ],
)
def test_what_is_read(text: str, tmp_path: Path) -> None:
    (run,), left_out = read_table([written(tmp_path, text)], PLAIN)
    assert run.samples[""].predictions.confidence.tolist() == [0.9, 0.7] and not left_out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("p,ok\n0,9,1\n0,7,0\n", "row 1: it has 3 cells, the header 2"),
        ("id,p,ok\n1,.9,1\n2,.7\n", "row 2: it has 2 cells, the header 3"),
        ("p,ok,answer\n.9,1,Paris, France\n", "row 1: it has 4 cells, the header 3"),
        ("p,p,ok\n.9,.8,1\n", "2 columns called `p`"),
        ("p;ok\n0,9;1\n", "semicolons between its cells"),
        ("p\tok\n0.9\t1\n", "tabs between its cells"),
        ("", "it is empty"),
        ("p,ok\n90.5,1\n", "`90.5`: if these are percentages, divide them by 100"),
        ("p,ok\n90 %,1\n", "divide them by 100"),
        ("p,ok\n,1\n", "got an empty cell"),
        ("p,ok\n.5,\n", "got an empty cell"),
    ],
)
def test_what_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=message):
        read_table([written(tmp_path, text)], PLAIN)


def test_bad_rows_are_left_out_and_counted(tmp_path: Path) -> None:
    path = written(tmp_path, "id,p,ok\n1,.9,1,x,y\n2,.7,0\n3,.2\n")
    (run,), (said,) = read_table([path], PLAIN, skip_bad=True)
    assert len(run.samples[""]) == 1
    assert "2 rows left out, the first of them row 1: it has 5 cells" in said


def test_another_encoding_is_said(tmp_path: Path) -> None:
    path = written(tmp_path, "p,ok,answer\n.9,1,café\n", "latin-1")
    with pytest.raises(InvalidInputError, match=r"no UTF-8 .*Save it as UTF-8"):
        read_table([path], PLAIN)


def test_several_files_are_a_run_each_unless_they_are_fitted_on(tmp_path: Path) -> None:
    files = [written(tmp_path, "p,ok\n.9,1\n", name=f"{name}.csv") for name in "ab"]
    assert [run.label for run in read_table(files, PLAIN, by_file=True)[0]] == ["a", "b"]
    ((together,), _) = read_table(files, PLAIN)
    assert len(together.samples[""]) == 2
