"""The noise bank: the same numbers in every process, normal, and read round and round without a gap."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from contents import rendered

from augpipe.pixels.steps import noise
from augpipe.pixels.steps.noise import Noise


def test_the_bank_is_the_same_everywhere():
    """Written pictures depend on these bytes; a change of them is a change of every noisy picture."""
    digest = hashlib.sha256(noise.bank().astype("<i2").tobytes()).hexdigest()
    assert digest == "05c1f22f0bcb2723274fd323260870ff5662f6a566f56d7713cfc9f04988a2a2"


def test_the_bank_is_standard_normal_in_steps_of_a_256th():
    numbers = noise.bank() / 256.0
    assert numbers.size == noise.LENGTH
    assert abs(numbers.mean()) < 5.0 / np.sqrt(noise.LENGTH)
    assert numbers.std() == pytest.approx(1.0, abs=0.002)
    for sigmas, share in ((1.0, 0.6827), (2.0, 0.9545), (3.0, 0.9973)):
        assert (np.abs(numbers) < sigmas).mean() == pytest.approx(share, abs=0.002)
    assert abs(np.corrcoef(numbers[:-1], numbers[1:])[0, 1]) < 0.003


def test_the_bank_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        noise.bank()[0] = 1


def test_the_length_is_a_prime():
    """So that rows of a picture larger than the bank never meet it at the same place."""
    assert all(noise.LENGTH % k for k in range(2, 2049))


@pytest.mark.parametrize("offset", [0, 5, noise.LENGTH - 3, noise.LENGTH, 2**31 - 1])
@pytest.mark.parametrize("count", [0, 1, 65_536, 65_537, noise.LENGTH + 70_000])
def test_stretches_follow_each_other(offset, count):
    done = 0
    for where, numbers in noise.stretches(offset, count):
        assert (where.start, where.stop) == (done, done + numbers.size)
        assert 0 < numbers.size <= 65_536
        assert numbers[0] == noise.bank()[(offset + done) % noise.LENGTH]
        assert numbers[-1] == noise.bank()[(offset + where.stop - 1) % noise.LENGTH]
        done = where.stop
    assert done == count


@pytest.mark.parametrize("std", [2.0, 12.0, 30.0])
def test_a_gray_card_gets_noise_of_that_deviation(std):
    out = rendered(np.full((200, 300, 3), 128, np.uint8), [Noise(std=std, offset=99)]).astype(float)
    assert out.mean() == pytest.approx(128.0, abs=0.2)
    assert out.std() == pytest.approx(np.hypot(std, 1 / np.sqrt(12)), rel=0.01)  # whole levels add their own
    between = np.corrcoef(out[:, :, 0].ravel(), out[:, :, 1].ravel())[0, 1]
    assert abs(between) < 0.02, "every channel has noise of its own"


def test_no_deviation_changes_nothing():
    picture = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert (rendered(picture, [Noise(std=0.0, offset=7)]) == picture).all()
