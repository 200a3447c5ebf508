"""Plans that were written before contrast went about the mean and noise had two reads: the pixels that they had then.

The digests were taken from the program as it was, from a color jitter's one matrix about 127.5 and a bank that is read
row after row.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from contents import rendered

from augpipe.core.plan import from_json, to_json
from augpipe.pixels import reference

PLAN = {
    "version": 1,
    "seed": 5,
    "steps": [
        {
            "kind": "colour",
            "stages": [
                {
                    "stage": "matrix",
                    "rows": [
                        1.2333984375, 0.0849609375, -0.0615234375, -31.875, -0.041015625, 1.318359375, -0.0205078125,
                        -31.875, 0.02734375, -0.1103515625, 1.3388671875, -31.875,
                    ],
                },
                {"stage": "curve", "name": "gamma", "amount": 0.8},
            ],
        },
        {"kind": "noise", "std": 9.25, "offset": 2147480001},
    ],
    "drawn": [{"name": "gaussian_noise", "parameters": {"std": 9.25}}],
}  # fmt: skip

DIGESTS = {
    (250, 300, 3): "382facc1432a3dad1b3b9099c7722b0e",
    (61, 47): "a2535d9f5986ce6cdead6c3987d4c8bd",
    (1, 9, 3): "2512eaef6b3f65a8f56e877334f0b214",
    (9, 1): "299bd34c055217bb0882e953e9f046c5",
    (1300, 1100, 3): "74e09321c8ac49b5be7410fa1a7a9566",
}


def picture_of(shape):
    """In blue, green, red, as the digests were taken."""
    return np.random.default_rng(11).integers(0, 256, shape, dtype=np.uint8)


def digest(picture_rgb):
    bgr = picture_rgb if picture_rgb.ndim == 2 else np.ascontiguousarray(picture_rgb[:, :, ::-1])
    return hashlib.sha256(bgr.tobytes()).hexdigest()


@pytest.mark.parametrize("shape", DIGESTS, ids=str)
@pytest.mark.parametrize("apply", [rendered, reference.apply], ids=["cpu", "reference"])
def test_an_older_plan_keeps_its_bytes(shape, apply):
    picture = picture_of(shape)
    rgb = picture if picture.ndim == 2 else picture[:, :, ::-1]
    assert digest(apply(rgb, from_json(PLAN).steps)).startswith(DIGESTS[shape])


def test_an_older_plan_is_written_as_it_was():
    assert json.loads(json.dumps(to_json(from_json(PLAN)))) == PLAN


@pytest.mark.parametrize(
    ("diagonal", "offset", "expected"),
    [
        ((0.5, 0.5, 0.5), 0.0, ("1d7f87ec9d0f", "719f4f514070")),
        ((1.5, 1.5, 1.5), -63.75, ("96867f2edc45", "49485c176f0a")),
        ((0.5, 1.25, 0.75), 0.5, ("a91e472668a7", "06fb029614f3")),
        ((30.5, 0.5, 2.0), -6999.5, ("077a12f96d76", "2a456644d4ff")),
        ((40.5, 1.0, 1.0), 0.5, ("63368031b34b", "1fa30680e383")),
    ],
)
@pytest.mark.parametrize("apply", [rendered, reference.apply], ids=["cpu", "reference"])
def test_brightness_and_contrast_alone_round_as_they_did(diagonal, offset, expected, apply):
    """A matrix that mixes no channels went through floats in OpenCV, which round halves to even; gray did not."""
    r, g, b = diagonal
    rows = [r, 0.0, 0.0, offset, 0.0, g, 0.0, offset, 0.0, 0.0, b, offset]
    steps = from_json({**PLAN, "steps": [{"kind": "colour", "stages": [{"stage": "matrix", "rows": rows}]}]}).steps
    color, gray = picture_of((200, 301, 3)), picture_of((61, 47))
    found = digest(apply(color[:, :, ::-1], steps)), digest(apply(gray, steps))
    assert tuple(d[:12] for d in found) == expected
