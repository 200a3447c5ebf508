"""One library's operations, timed in a process of its own, so that libraries of one name can be compared.

    python timed.py LIBRARY PICTURES.npy

Reads a line of JSON for each question on stdin, {"step": …, "boxes": …}, and answers with the processor time of a
picture in microseconds, {"us": …}, or {"why": …} where the library has no such operation. Pictures are in RGB.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from typing import Any

import harness
import numpy as np


def built(module: Any, step: dict[str, Any], boxes_xyxy: np.ndarray) -> Any:
    """The library as a call on a picture."""
    build = getattr(module, "Composed", None) or module.Batched
    augmenter = build([harness.operation(step)])
    augmenter.seed(7)
    labels = harness.Labels(boxes_xyxy.astype(np.float32), np.zeros(len(boxes_xyxy), np.int64))
    return lambda picture: augmenter.copies(picture, labels, 1)[0][0]


def main() -> None:
    module, pictures = importlib.import_module(sys.argv[1]), np.load(sys.argv[2])
    calls: dict[str, Any] = {}
    for line in sys.stdin:
        question = json.loads(line)
        key = json.dumps(question["step"])
        try:
            if key not in calls:
                calls[key] = built(module, question["step"], np.array(question["boxes"]))
            started = time.process_time()
            for picture in pictures:
                calls[key](picture)
            answer = {"us": round(1e6 * (time.process_time() - started) / len(pictures), 1)}
        except Exception as error:  # it does not have it, or it does not work here: an answer that says so
            answer = {"why": " ".join(f"{type(error).__name__}: {error}".split())[:200]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
