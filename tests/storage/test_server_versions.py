"""What changes on a server between the look and the reading is seen, by what servers say of a file."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from builders import opened, read_all
from command_line import call
from format_checker import check_folder
from moto.server import ThreadedMotoServer
from packing import packed
from runs import promised, run
from web import Web, serving

from augpipe.core.errors import DatasetError, Reject
from augpipe.formats.base import read_picture
from augpipe.storage import remote
from augpipe.storage.version import Version, version_of_answer, version_of_info

NOON = 1_700_000_000
DATE = "Tue, 14 Nov 2023 22:13:20 GMT"  # by `date -u -d @1700000000`


@pytest.fixture(autouse=True)
def quick(monkeypatch) -> Iterator[None]:
    monkeypatch.setattr(remote, "_PAUSE_SECONDS", 0.01)
    remote._windows.clear()
    yield
    remote._filesystem.cache_clear()


@pytest.fixture
def site(voc, coco, tmp_path) -> Path:
    folder = tmp_path / "site"
    shutil.copytree(coco, folder / "coco")
    shutil.copytree(voc, folder / "voc")
    packs(folder)
    run(voc, folder / "shards", sources_per_shard=3, copies=1)
    for path in [p for p in folder.rglob("*") if p.is_file()]:
        os.utime(path, (NOON, NOON))
    return folder


def packs(folder: Path) -> None:
    for ending in ("tar", "zip"):
        packed(folder / "voc", folder / f"voc.{ending}", "VOC2012/")


def turn_a_bit(path: Path, at: int) -> None:
    """Another file of the same size, written a minute later."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    time = path.stat().st_mtime + 60
    path.write_bytes(data)
    os.utime(path, (time, time))


SOURCES = {
    "coco/annotations/instances.json": "coco/images/{picture}",
    "voc.tar": "voc.tar",
    "voc.zip": "voc.zip",
    "shards/all-{{000000..000002}}.tar": "shards/all-000001.tar",
}


@pytest.mark.parametrize("tells", [("etag", "time"), ("etag",), ("time",)], ids=["both", "etag", "time"])
@pytest.mark.parametrize("source", SOURCES)
def test_a_picture_that_changes_before_it_is_read_is_a_reject_that_may_pass(site, source, tells):
    with serving(site, tells=tells) as web:
        dataset = opened(f"{web.url}/{source.format()}")
        entry = next(e for e in dataset.entries if "000001" in e.picture.path or "{" not in source)
        before = read_picture(entry)
        assert before
        turn_a_bit(site / SOURCES[source].format(picture=entry.key), 700)
        remote._windows.clear()  # as in a worker, which has read nothing yet
        with pytest.raises(Reject) as caught:
            read_picture(entry)
        assert (caught.value.stage, caught.value.code, caught.value.transient) == ("read", "changed", True)
        assert str(caught.value).endswith(": it has been changed on the server meanwhile")
        assert len(read_picture(opened(f"{web.url}/{source.format()}").entries[-1])) > 100  # a new look is a new look


def test_labels_of_a_changed_shard_are_no_labels(site):
    with serving(site, tells=("etag",)) as web:
        dataset = opened(f"{web.url}/shards/all-000001.tar")
        read_all(dataset)
        turn_a_bit(site / "shards/all-000001.tar", 700)
        remote._windows.clear()
        with pytest.raises(Reject, match="it has been changed on the server meanwhile"):
            dataset.reader.annotations(dataset.entries[0])


@pytest.mark.parametrize("tells", [(), ("weak",)], ids=["nothing", "weak"])
def test_of_a_server_that_tells_nothing_sizes_are_compared(site, tells):
    with serving(site, tells=tells) as web:
        dataset = opened(f"{web.url}/coco/annotations/instances.json")
        path = site / "coco/images" / dataset.entries[0].key
        before = read_picture(dataset.entries[0])
        turn_a_bit(path, len(before) - 3)
        assert read_picture(dataset.entries[0]) == path.read_bytes()  # nothing tells it
        path.write_bytes(before + b"\0")
        with pytest.raises(Reject, match="it has been changed on the server meanwhile"):
            read_picture(dataset.entries[0])


@pytest.mark.parametrize("name", ["voc.tar", "voc.zip", "coco/annotations/instances.json"])
def test_a_file_that_changes_while_it_is_looked_through_is_one_line(site, name):
    """After its size was asked, before its content is."""
    with serving(site, tells=("etag",)) as web:

        def harm(path: str) -> str:
            if path.endswith(name) and web.asked[-1][0] == "GET":
                web.disturb = None
                turn_a_bit(site / name, 3)
            return ""

        web.disturb = harm
        with pytest.raises((DatasetError, OSError)):
            opened(f"{web.url}/{name}")
        result = disturbed_command(web, harm, "inspect", f"{web.url}/{name}")
    assert result.exit_code in {1, 2}
    line, _ = result.stderr.splitlines()
    assert line.startswith("augpipe: ")
    assert "it has been changed on the server meanwhile" in line


def disturbed_command(web: Web, harm, *words: str):
    web.disturb = harm
    return call(*words)


def test_a_run_goes_on_to_what_is_there_now(site, tmp_path):
    source = "coco/annotations/instances.json"
    with serving(site, tells=("etag", "time")) as web:
        options = ["-r", "detection", "-n", "2", "--seed", "7", "-w", "0"]
        named = sorted((site / "coco/images").iterdir())[2]
        asked = []

        def harm(path: str) -> str:
            if path.endswith(f"/coco/images/{named.name}") and web.asked[-1][0] == "GET" and not asked:
                asked.append(path)
                turn_a_bit(named, named.stat().st_size - 40)
            return ""

        web.disturb = harm
        done = call("augment", f"{web.url}/{source}", str(tmp_path / "out"), *options)
        assert done.exit_code == 1, done.output
        (row,) = map(json.loads, (tmp_path / "out" / "rejects.jsonl").read_text().splitlines())
        assert (row["source"], row["error"], row["transient"]) == (named.name, "changed", True)
        again = call("retry", str(tmp_path / "out"), "-w", "0")
        assert again.exit_code == 0, again.output
        calm = call("augment", f"{web.url}/{source}", str(tmp_path / "calm"), *options)
        assert calm.exit_code == 0, calm.output
        assert promised(tmp_path / "out") == promised(tmp_path / "calm")
        assert check_folder(tmp_path / "out") == []


@pytest.mark.parametrize("source", ["coco/annotations/instances.json", "voc.zip"])
def test_by_its_time_a_changed_picture_is_named_when_the_run_goes_on(site, tmp_path, source):
    with serving(site, tells=("time",)) as web:
        command = ["augment", f"{web.url}/{source}", str(tmp_path / "out"), *["-r", "gentle", "-w", "0"]]
        assert call(*command).exit_code == 0
        assert call(*command).stdout.endswith("nothing to do, the run is finished\n")
        picture = sorted((site / ("coco/images" if "coco" in source else "voc/JPEGImages")).iterdir())[1]
        turn_a_bit(picture, picture.stat().st_size - 40)
        packs(site)
        done = call(*command)
        assert done.exit_code == 2
        assert f"its source is not what it was made of: {picture.name} has changed\n" in done.stderr


def test_a_changed_picture_of_a_bucket_is_a_reject(site):
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "x", "DEFAULT_REGION": "us-east-1"}.items():
            patch.setenv(f"AWS_{name}", value)
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        client = boto3.client("s3")
        client.create_bucket(Bucket="changing")
        for path in (p for p in site.rglob("*") if p.is_file()):
            client.put_object(Bucket="changing", Key=path.relative_to(site).as_posix(), Body=path.read_bytes())
        for source, key in {"voc/": "voc/JPEGImages/img_001.jpg", "voc.zip": "voc.zip"}.items():
            dataset = opened(f"s3://changing/{source}")
            entry = dataset.entries[1]
            assert len(read_picture(entry)) > 1000
            turn_a_bit(site / key, 700)
            client.put_object(Bucket="changing", Key=key, Body=(site / key).read_bytes())
            remote._windows.clear()
            with pytest.raises(Reject, match="it has been changed on the server meanwhile") as caught:
                read_picture(entry)
            assert caught.value.transient
            if source == "voc/":
                assert len(read_picture(dataset.entries[2])) > 1000
        client.close()
    server.stop()


# --- what servers say ------------------------------------------------------------------------------------------------


def test_versions_are_told_apart_by_the_best_that_is_known():
    one = Version(5, '"a"', 10)
    assert not one.differs(Version(5, '"a"', 20))  # a strong ETag names the bytes
    assert one.differs(Version(5, '"b"', 10))
    assert one.differs(Version(6, '"a"', 10))
    assert one.differs(Version(5, "", 20))
    assert not one.differs(Version(0, "", None))
    assert not Version(0).differs(one)


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ({"size": 5, "ETag": '"x"', "Last-Modified": DATE}, Version(5, '"x"', NOON * 10**9)),
        ({"size": None, "ETag": 'W/"x"', "Last-Modified": "soon, perhaps"}, Version(0, "", None)),
        ({"size": 5, "ETag": "x" * 2000, "LastModified": "x"}, Version(5, "", None)),
        ({"size": 5, "Last-Modified": "Tue, 14 Nov 999999999 22:13:20 GMT"}, Version(5, "", None)),
        ({"etag": "x", "updated": "2023-11-14T22:13:20.000Z"}, Version(0, "x", NOON * 10**9)),
    ],
)
def test_what_a_file_system_says_of_a_file(said, version):
    assert version_of_info(said) == version


@pytest.mark.parametrize(
    ("status", "headers", "size"),
    [
        (200, {"Content-Length": "7"}, 7),
        (206, {"Content-Length": "2", "Content-Range": "bytes 0-1/7"}, 7),
        (206, {"Content-Length": "2", "Content-Range": "bytes 0-1/*"}, 0),
        (200, {"Content-Length": "7", "Content-Encoding": "gzip"}, 0),
        (200, {"Content-Length": "9" * 5000}, 0),
        (200, {"Content-Length": "\u0667"}, 0),
        (200, {}, 0),
    ],
)
def test_what_an_answer_says_of_a_file(status, headers, size):
    assert version_of_answer(status, headers) == Version(size)
