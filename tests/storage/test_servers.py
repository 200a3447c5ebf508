"""Servers that send a request elsewhere, or ask for patience, and URLs that are none."""

from __future__ import annotations

import email.utils
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import coco, image, opened, row, said, write_json, write_picture
from command_line import call as command
from runs import run
from web import Web, serving

from augpipe.core.errors import Reject
from augpipe.storage import remote
from augpipe.storage.byte_range import ByteRange, read_place


@pytest.fixture(autouse=True)
def slept(monkeypatch) -> Iterator[list[float]]:
    """What was slept, without sleeping; no connection is left to another test."""
    seconds: list[float] = []
    monkeypatch.setattr(remote, "_sleep", seconds.append)
    monkeypatch.setattr(remote, "CONNECT_SECONDS", 2.0)
    remote._filesystem.cache_clear()
    remote._windows.clear()
    yield seconds
    remote._filesystem.cache_clear()


@pytest.fixture
def web(tmp_path) -> Iterator[Web]:
    """A JSON and its two pictures."""
    for name in ("a.jpg", "b.jpg"):
        write_picture(tmp_path / "site" / name)
    write_json(tmp_path / "site" / "x.json", coco([image(1), image(2, "b.jpg")], [row(1), row(2, 2)]))
    with serving(tmp_path / "site") as web:
        yield web


def reject_of(url: str) -> Reject:
    with pytest.raises(Reject) as caught:
        read_place(ByteRange(url))
    assert len(caught.value.message.splitlines()) == 1
    return caught.value


# --- redirects -------------------------------------------------------------------------------------------------------


def test_a_redirect_within_the_host_is_followed(web):
    expected = (web.folder / "a.jpg").read_bytes()
    for target in ("/a.jpg", f"{web.url}/a.jpg", "./a.jpg"):
        web.faults["moved.jpg"] = f"to {target}"
        assert read_place(ByteRange(f"{web.url}/moved.jpg")) == expected
    web.faults["old.json"] = "to /x.json"
    assert len(opened(f"{web.url}/old.json").entries) == 2


def test_no_redirect_leads_to_another_host_and_the_message_names_it(web, tmp_path):
    with serving(tmp_path / "site") as other:
        there = other.url.removeprefix("http://")
        for target in (f"{other.url}/a.jpg", f"//{there}/a.jpg"):
            web.faults["a.jpg"] = f"to {target}"
            reject = reject_of(f"{web.url}/a.jpg")
            assert f"the server sends it on to another host, {there}; name that URL if you trust it" in reject.message
        web.faults["x.json"] = f"to {other.url}/x.json"
        message = said(f"{web.url}/x.json")
        assert there in message
        assert other.asked == []
        asked = [path for _, path, _ in web.asked]
        assert asked.count("/a.jpg") == 2  # it is not tried again: the answer would be the same


def test_another_port_or_name_of_the_same_machine_is_another_host(web):
    port = web.url.rpartition(":")[2]
    for target in (
        f"http://localhost:{port}/a.jpg",
        "http://127.0.0.1:9/a.jpg",
        "ftp://127.0.0.1/a.jpg",
        "http://[::zz]/",
    ):
        web.faults["a.jpg"] = f"to {target}"
        assert "the server sends it on to" in reject_of(f"{web.url}/a.jpg").message


def test_signatures_in_a_redirect_are_not_shown(web):
    web.faults["a.jpg"] = "to http://me:secret@127.0.0.1:9/a.jpg?signature=secret"
    message = reject_of(f"{web.url}/a.jpg").message
    assert "127.0.0.1:9" in message
    assert "secret" not in message


def test_a_redirect_loop_is_one_line(web):
    web.faults.update({"a.jpg": "to /b.jpg", "b.jpg": "to /a.jpg", "x.json": "to /x.json"})
    assert "the server sends it round in a circle" in reject_of(f"{web.url}/a.jpg").message
    assert len(web.asked) <= 12
    assert "the server sends it round in a circle" in said(f"{web.url}/x.json")


def test_a_run_loses_the_picture_that_is_elsewhere_and_no_other(web, tmp_path):
    dataset = opened(f"{web.url}/x.json")
    assert len(dataset.entries) == 2
    web.disturb = lambda path: "bytes-to http://127.0.0.1:9/b.jpg" if path == "/b.jpg" else ""
    run(f"{web.url}/x.json", tmp_path / "out", max_rejects="100%")
    (lost,) = [json.loads(line) for line in (tmp_path / "out" / "rejects.jsonl").read_text().splitlines()]
    assert (lost["source"], lost["error"]) == ("b.jpg", "io")
    assert "127.0.0.1:9" in lost["message"]


# --- patience --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_asks_for_patience_gets_it(web, slept, status):
    web.faults["a.jpg"] = f"busy {status} 7 4"
    assert read_place(ByteRange(f"{web.url}/a.jpg")) == (web.folder / "a.jpg").read_bytes()
    assert slept == [7.0] * 4  # more often than a failure is tried again
    date = email.utils.formatdate(time.time() + 20, usegmt=True)
    web.faults["a.jpg"] = f"busy {status} {date.replace(' ', '_')} 1"
    assert len(read_place(ByteRange(f"{web.url}/a.jpg"))) > 100
    assert 15.0 <= slept[-1] <= 20.0


def test_patience_has_a_bound(web, slept):
    web.faults["a.jpg"] = "busy 429 3600 1000"
    message = reject_of(f"{web.url}/a.jpg").message
    assert "the server answers 429 and asks to wait 3,600 s; run the same command again after that" in message
    assert slept == []
    web.faults["a.jpg"] = "busy 429 8 1000"
    assert "asks to wait 8 s" in reject_of(f"{web.url}/a.jpg").message
    assert sum(slept) <= remote.PATIENCE_SECONDS == 30.0
    assert slept == [8.0] * 3


@pytest.mark.parametrize("asked", ["0", "-5", "soon", "", "1e400", "nan", "9" * 400, "Thu,_01_Jan_1970_00:00:00_GMT"])
def test_what_is_no_time_to_wait_is_no_reason_to_ask_for_ever(web, slept, asked):
    web.faults["a.jpg"] = f"busy 429 {asked or '_'} 100000"
    assert "the server answers 429" in reject_of(f"{web.url}/a.jpg").message
    assert len(web.asked) <= 100
    assert sum(slept) <= remote.PATIENCE_SECONDS


def test_without_a_time_it_is_a_failure_like_others(web, slept):
    web.faults.update({"a.jpg": "429", "x.json": "429"})
    assert "the server answers 429" in reject_of(f"{web.url}/a.jpg").message
    assert len(web.asked) == 3
    assert "the server answers 429" in said(f"{web.url}/x.json")


def test_waits_are_counted_and_told(web, tmp_path):
    web.faults["x.json"] = "busy 503 2 4"  # each time it is asked for its head, and then for all of it
    dataset = opened(f"{web.url}/x.json")
    assert any("the server asked to wait 2 times, 4 s in all" in remark for remark in dataset.remarks)
    assert not any("asked to wait" in remark for remark in opened(f"{web.url}/x.json").remarks)


def test_a_shard_says_how_long_its_pictures_have_waited(web, tmp_path):
    asked = []

    def every_other_time(path: str) -> str:
        asked.append(path)
        return "busy 503 3 1" if path == "/b.jpg" and asked.count(path) % 2 == 0 else ""

    web.disturb = every_other_time
    run(f"{web.url}/x.json", tmp_path / "out", sources_per_shard=2)
    (record,) = [json.loads(path.read_text()) for path in (tmp_path / "out").glob("all-*.json")]
    assert record["run"]["waited"] == {"times": 1, "seconds": 3.0}
    assert record["rejected"] == 0


# --- URLs that are none ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["http://[::zz]", "http://[::zz]/x.json", "https://[::1/x.zip", "http://host:port/x.json", "http://host:99999/x.tar",
     "http:///x.json", "https://", "s3://", "s3:///x/", "http://[::zz]/{0..3}.tar", "http://a b/x.json"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["augment", "inspect", "plan", "convert"])
def test_a_url_that_is_none_is_one_line(url, name, tmp_path):
    words = {
        "augment": ["augment", url, tmp_path / "out", "-r", "detection"],
        "inspect": ["inspect", url],
        "plan": ["plan", url, "-r", "detection"],
        "convert": ["convert", "coco-to-voc", url, tmp_path / "out"],
    }[name]
    done = command(*words)
    assert done.exit_code == 2, done.output
    lines = [line for line in done.output.splitlines() if not line.startswith("device:")]
    assert "".join(lines).replace(" ", "").startswith(f"augpipe:{url}:isnoURL".replace(" ", "")), done.output
    assert "please report" not in done.output
    assert not (tmp_path / "out").exists()


def test_a_password_in_such_a_url_is_not_shown(tmp_path: Path):
    message = said("http://me:secret@[::zz]/x.json")
    assert "is no URL" in message
    assert "secret" not in message
