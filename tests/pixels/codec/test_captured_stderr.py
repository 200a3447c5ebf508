"""What is said on stderr is heard by who listens, also when many do; it comes back, and nobody waits for ever."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from pictures import WRITTEN, read, rejected

from augpipe.pixels.codec import captured_stderr, image

CUT = WRITTEN["jpeg"][: len(WRITTEN["jpeg"]) * 3 // 4]


def say(text: str) -> None:
    os.write(2, text.encode())


def test_who_is_alone_hears_it_and_knows_that_it_was_meant(capfd):
    with captured_stderr.alone() as heard:
        say("one")
        say(" two")
    assert (heard.text, heard.alone) == ("one two", True)
    with captured_stderr.together() as heard:
        pass
    assert (heard.text, heard.alone) == ("", True)
    say("out again")
    assert capfd.readouterr() == ("", "out again")


def test_of_several_each_hears_what_was_said_meanwhile_and_that_others_were_there(capfd):
    with captured_stderr.together() as first:
        say("a")
        with captured_stderr.together() as second:
            say("b")
        say("c")
    assert (first.text, first.alone) == ("abc", False)
    assert (second.text, second.alone) == ("b", False)
    assert capfd.readouterr() == ("", "")


def test_who_wants_to_be_alone_comes_before_those_who_come_later():
    order: list[str] = []
    inside = threading.Event()
    leave = threading.Event()

    def one() -> None:
        with captured_stderr.together():
            inside.set()
            leave.wait(300)
        order.append("together")

    def two() -> None:
        with captured_stderr.alone():
            order.append("alone")

    def three() -> None:
        with captured_stderr.together():
            order.append("later")

    threads = [threading.Thread(target=work) for work in (one, two, three)]
    threads[0].start()
    assert inside.wait(300)
    threads[1].start()
    while not captured_stderr._lock._waiting:
        time.sleep(0.001)
    threads[2].start()
    assert order == []
    leave.set()
    for thread in threads:
        thread.join(300)
    assert set(order) == {"together", "alone", "later"}
    assert order.index("alone") < order.index("later")


def test_an_error_inside_leaves_the_door_open(capfd):
    for listen in (captured_stderr.alone, captured_stderr.together):
        try:
            with listen():
                raise ValueError
        except ValueError:
            pass
        with captured_stderr.alone() as heard:
            say("x")
        assert heard.text == "x"
    say("back")
    assert capfd.readouterr() == ("", "back")


def test_sound_pictures_are_decoded_at_the_same_time(monkeypatch):
    """Both are inside the decoder before either leaves it; before, one thread at a time was."""
    meeting = threading.Barrier(2, timeout=300)
    real = image._imdecode

    def met(data: bytes, flags: int):
        meeting.wait()
        return real(data, flags)

    whole = read(WRITTEN["jpeg"])
    monkeypatch.setattr(image, "_imdecode", met)
    with ThreadPoolExecutor(2) as pool:
        for pixels in pool.map(read, [WRITTEN["jpeg"]] * 2):
            assert np.array_equal(pixels, whole)


def test_among_many_threads_each_picture_is_judged_by_its_own_damage(capfd):
    whole = read(WRITTEN["jpeg"])

    def judged(i: int) -> str:
        if i % 3:
            return "read" if np.array_equal(read(WRITTEN["jpeg"]), whole) else "changed"
        return rejected(CUT)

    before = sorted(os.listdir("/dev/fd"))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(judged, range(600)))
    assert found == ["read" if i % 3 else "truncated" for i in range(600)]
    assert sorted(os.listdir("/dev/fd")) == before
    say("still here")
    assert capfd.readouterr() == ("", "still here")
