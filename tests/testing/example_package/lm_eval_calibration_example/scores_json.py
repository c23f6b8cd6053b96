"""`<task>.scores.json`: a list of {"question": "...", "scores": {"A": -6.4, ...}, "gold": "A"}."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lm_eval_calibration import json_text
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs import document_hash
from lm_eval_calibration.logs.contract import FileByFile, Left, LogFile
from lm_eval_calibration.logs.run import Samples
from lm_eval_calibration.predictions import Predictions

SUFFIX = ".scores.json"


class ScoresJson(FileByFile):
    """A model's folder has a file for each task."""

    name = "scores-json"
    meaning = "a score for each option, and the right one"

    def finds(self, path: Path) -> list[Left]:
        """By their names."""
        paths = sorted(path.rglob(f"*{SUFFIX}")) if path.is_dir() else [path]
        folders: dict[Path, dict[str, LogFile]] = {}
        for each in paths:
            if each.name.endswith(SUFFIX):
                task = each.name.removesuffix(SUFFIX)
                folders.setdefault(each.parent, {})[task] = LogFile(task, "", each)
        return [Left(self.name, folder, files) for folder, files in folders.items()]

    def read(self, file: LogFile, label: str, skip_bad: bool) -> Samples:
        """All of it, or nothing: where one row is bad, the rest is not to be trusted."""
        try:
            rows = json_text.loads(file.path.read_bytes())
            scores = [list(row["scores"].values()) for row in rows]
            gold = [list(row["scores"]).index(row["gold"]) for row in rows]
            predictions = Predictions.from_options(scores, gold)
            documents = [[row["question"], list(row["scores"])] for row in rows]
        except (
            json_text.InvalidJSONError,
            LookupError,
            TypeError,
            ValueError,
            AttributeError,
        ) as e:
            raise InvalidInputError(f"{file.path} is no list of scores: {e!r}.") from e
        hashes = np.array([document_hash(each) for each in documents], dtype=np.uint64)
        return Samples(label, file.task, file.path, predictions, doc_hash=hashes)


FORMAT = ScoresJson()
