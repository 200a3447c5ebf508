"""The noise bank: the same numbers in every process, normal, and read round and round without a gap."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from contents import rendered
from recipe_tools import plan_of

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
    """So that two rows whose places are quadratic in y meet once, or twice, and not again."""
    assert all(noise.LENGTH % k for k in range(2, 2049))


def of_one_read(read, shape):
    """The numbers of a picture by plain Python: place + step·y + growth·y·(y − 1)/2, then one after the other."""
    place, step, growth = read
    width = int(np.prod(shape[1:]))
    rows = []
    for y in range(shape[0]):
        start = place + step * y + growth * (y * (y - 1) // 2)
        rows.append([int(noise.bank()[(start + i) % noise.LENGTH]) for i in range(width)])
    return np.array(rows).reshape(shape)


LAST = noise.LENGTH - 1
READS = ((LAST - 5, 3_000_001, 77), (12, LAST, LAST))


@pytest.mark.parametrize("shape", [(23, 37, 3), (23, 37), (1, 1), (9, 1, 3), (2, 2)], ids=str)
def test_the_sum_of_two_reads_in_integers(shape):
    """Where levels are far from black and white, nothing is cut off."""
    numbers = sum(of_one_read(read, shape) for read in READS)
    numbers = numbers[..., ::-1] if len(shape) == 3 else numbers  # the bank goes blue, green, red
    expected = 128 + ((numbers * round(256 * 9.0 / np.sqrt(2)) + 2**15) >> 16)
    got = rendered(np.full(shape, 128, np.uint8), [Noise(std=9.0, reads=READS)])
    assert (got == expected).all()


def test_rows_longer_than_what_is_worked_on_at_a_time():
    shape = (2, 70_000)
    got = rendered(np.full(shape, 128, np.uint8), [Noise(std=9.0, reads=READS)])
    numbers = sum(of_one_read(read, shape) for read in READS)
    assert (got == 128 + ((numbers * round(256 * 9.0 / np.sqrt(2)) + 2**15) >> 16)).all()


def drawn(std, copy=0):
    """The step that an operation draws."""
    (step,) = plan_of([{"gaussian_noise": {"std": std}}], copy=copy).steps
    return step


@pytest.mark.parametrize("std", [2.0, 12.0, 30.0])
def test_a_gray_card_gets_noise_of_that_deviation(std):
    out = rendered(np.full((200, 300, 3), 128, np.uint8), [drawn(std)]).astype(float)
    assert out.mean() == pytest.approx(128.0, abs=0.2)
    assert out.std() == pytest.approx(np.hypot(std, 1 / np.sqrt(12)), rel=0.01)  # whole levels add their own
    between = np.corrcoef(out[:, :, 0].ravel(), out[:, :, 1].ravel())[0, 1]
    assert abs(between) < 0.02, "every channel has noise of its own"


def test_no_deviation_changes_nothing():
    picture = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert (rendered(picture, [drawn(0.0)]) == picture).all()


# --- no shift within a picture, or between two, has the same noise ---------------------------------------------------


def added(size_wh, copy, channels=3):
    """What a step adds to a gray card, in one plane after the other: (planes, H, W)."""
    w, h = size_wh
    card = np.full((h, w, 3) if channels == 3 else (h, w), 128, np.uint8)
    out = rendered(card, [drawn(12.0, copy)]).astype(np.float32) - 128
    return np.moveaxis(out.reshape(h, w, channels), -1, 0)


def strongest(a, b, itself=False, pad=2):
    """The largest correlation of two planes over all shifts, by FFT, as a share of their whole energy.

    ``pad`` 1 lets shifts wrap round, so that two of them are added up each time.
    """
    h, w = (pad * side for side in a.shape)
    product = np.fft.rfft2(a, (h, w)) * np.conj(np.fft.rfft2(b, (h, w)))
    by_shift = np.abs(np.fft.irfft2(product, (h, w))) / np.sqrt((a**2).sum() * (b**2).sum())
    if itself:
        assert by_shift[0, 0] == pytest.approx(1.0, abs=1e-3)
        by_shift[0, 0] = 0.0
    return by_shift.max()


@pytest.mark.parametrize("size_wh", [(640, 480), (97, 61), (64, 300)], ids=str)
def test_no_shift_within_a_picture(size_wh):
    planes = added(size_wh, 0)
    for i, a in enumerate(planes):
        for j, b in enumerate(planes[i:], i):
            assert strongest(a, b, itself=i == j) < 0.1


def test_no_shift_between_pictures():
    """Of several sizes, gray and color; one read at places of its own gave 0.9 at some shift."""
    pictures = [added((640, 480), 0), added((640, 480), 1), added((640, 480), 2, 1), added((500, 480), 3)]
    for i, a in enumerate(pictures):
        for b in pictures[i + 1 :]:
            widest = max(a.shape[2], b.shape[2])
            for p in a:
                for q in b:
                    p, q = (np.pad(v, ((0, 0), (0, widest - v.shape[1]))) for v in (p, q))  # noqa: PLW2901
                    assert strongest(p, q) < 0.1


def test_no_shift_within_twelve_megapixels():
    """Nine times the length of the bank. One read, row after row, repeated itself every 4,194,301 numbers."""
    (plane,) = added((4000, 3000), 0, 1)
    assert strongest(plane, plane, itself=True, pad=1) < 0.1
    assert abs(np.corrcoef(plane.reshape(-1)[noise.LENGTH :], plane.reshape(-1)[: -noise.LENGTH])[0, 1]) < 0.01
