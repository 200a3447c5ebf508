"""Which keypoints are left and right of each other, by their names."""

from __future__ import annotations

import random

import pytest

from augpipe.labels.keypoints import flip_pairs_of, looks_sided

PAIRS = [
    "left_eye/right_eye", "left eye/right eye", "eye-left/eye-right", "eye.left.inner/eye.right.inner",
    "Left_Eye/Right_Eye", "LEFT_EYE/RIGHT_EYE", "left/right", "Left/Right", "lefteye/righteye", "LeftEye/RightEye",
    "leftEye/rightEye", "shoulderLeft/shoulderRight", "my left ear/my right ear", "midLeftHip/midRightHip",
    "l_eye/r_eye", "L_Eye/R_Eye", "eye_l/eye_r", "eye.L/eye.R", "eye-l-1/eye-r-1", "upper (l)/upper (r)", "L/R", "l/r",
    "LShoulder/RShoulder", "LEye/REye", "lEye/rEye", "eyeL/eyeR", "eyeLInner/eyeRInner", "LBigToe/RBigToe",
    "l1/r1", "L12/R12", "toe2L/toe2R", "toeL2/toeR2", "IDLeft/IDRight", "éL/éR", "x_l_ear/x_r_ear",
    "left_hand_left_thumb/right_hand_right_thumb", "L1_left/L1_right", "upright_left/upright_right",
]  # fmt: skip
ALONE = [
    "lip/rip", "Lip/Rip", "Low/Row", "low/row", "LIP/RIP", "collar/corral", "heel/heer", "LR/RR", "él/ér", "le/re",
    "left_eye/right-eye", "left_eye/r_eye", "L/right", "eyeLeft/earRight", "nose/tail", "left_eye/left_ear", "1/2",
]  # fmt: skip


@pytest.mark.parametrize("names", PAIRS)
def test_names_that_are_a_pair(names):
    left, right = names.split("/")
    assert flip_pairs_of([left, right]) == ((0, 1),)
    assert flip_pairs_of([right, "nose", left]) == ((2, 0),)


@pytest.mark.parametrize("names", ALONE)
def test_names_that_are_none(names):
    assert flip_pairs_of(names.split("/")) == ()


@pytest.mark.parametrize("name", [name for names in PAIRS for name in names.split("/")])
def test_one_of_a_pair_alone_looks_sided(name):
    assert flip_pairs_of([name, "nose"]) == ()
    assert looks_sided(name)


def test_every_side_of_a_name_changes_in_a_mirror():
    names = ["left_eye_left", "left_eye_right", "right_eye_left", "right_eye_right"]
    assert flip_pairs_of(names) == ((0, 3), (1, 2))
    assert flip_pairs_of(names[:3]) == ((1, 2),)  # what the first becomes is not there, and no other stands in for it


@pytest.mark.parametrize(
    "names",
    [
        ["left_eye", "left_eye", "right_eye"],
        ["eye_l", "Eye_L", "eye_r"],
    ],
)
def test_what_is_not_clear_is_not_guessed(names):
    assert flip_pairs_of(names) == ()


def test_a_keypoint_is_in_one_pair_at_most():
    rng = random.Random(3)
    words = ["left", "right", "Left", "R", "l", "eye", "Toe", "_", "1", "up"]
    for _ in range(500):
        names = ["".join(rng.choices(words, k=rng.randrange(1, 5))) for _ in range(8)]
        found = [i for pair in flip_pairs_of(names) for i in pair]
        assert len(found) == len(set(found))
