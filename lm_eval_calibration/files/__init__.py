"""The one way out: what this package writes never takes the place of what is the user's.

Of what stands where something is to be written there are four cases. Nothing: it is written. Something
of ours of the same kind: it is replaced, whole and at once. Something else: it is refused, before any
work. A pipe or a character device: it is written to. Links are followed. Ours is known by a mark that
stands in the file or the folder, not by a name.
"""

from lm_eval_calibration.files.folders import check_folder, claim_folder, kind_of, remove_work
from lm_eval_calibration.files.marks import (
    JSON,
    JSON_LINES,
    KEY,
    MODEL_CARD,
    PAGE,
    PDF,
    PNG,
    SVG,
    TENSORS,
    FileFormat,
    beside,
    stamped,
)
from lm_eval_calibration.files.places import check_file, is_stream
from lm_eval_calibration.files.writing import (
    write_folder,
    write_json,
    write_tensors,
    write_text,
    write_whole,
)

__all__ = [
    "JSON",
    "JSON_LINES",
    "KEY",
    "MODEL_CARD",
    "PAGE",
    "PDF",
    "PNG",
    "SVG",
    "TENSORS",
    "FileFormat",
    "beside",
    "check_file",
    "check_folder",
    "claim_folder",
    "is_stream",
    "kind_of",
    "remove_work",
    "stamped",
    "write_folder",
    "write_json",
    "write_tensors",
    "write_text",
    "write_whole",
]
