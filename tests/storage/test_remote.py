"""Sources on servers: a web server on loopback with faults, S3 by moto, Google's by a file system in memory."""

from __future__ import annotations

import importlib
import io
import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import fsspec
import pytest
from builders import keys, object_xml, opened, read_all, voc_xml, write_json, write_picture, write_tar, write_voc
from command_line import call as command
from conversions import call, done, refused
from fsspec.implementations.memory import MemoryFileSystem
from moto.server import ThreadedMotoServer
from packing import packed
from runs import promised, run
from web import serving

from augpipe.core.errors import DatasetError, Reject
from augpipe.formats.base import read_picture
from augpipe.storage import remote
from augpipe.storage.byte_range import LARGEST_FILE, ByteRange, read_place
from augpipe.storage.remote import Ranges
from augpipe.storage.version import Version


@pytest.fixture(autouse=True)
def quick(monkeypatch) -> Iterator[None]:
    """Servers that do not answer are given up after a moment, and no connection is left to another test."""
    for name, value in {"READ_SECONDS": 0.4, "CONNECT_SECONDS": 2.0, "_PAUSE_SECONDS": 0.01}.items():
        monkeypatch.setattr(remote, name, value)
    remote._filesystem.cache_clear()
    remote._windows.clear()
    yield
    remote._filesystem.cache_clear()


@pytest.fixture(scope="session")
def site(voc, coco, tmp_path_factory) -> Path:
    """Files of a server: archives, and a COCO JSON with its pictures."""
    folder = tmp_path_factory.mktemp("site")
    packed(voc, folder / "voc.tar", "VOCdevkit/VOC2012/")
    packed(voc, folder / "voc.zip", "VOCdevkit/VOC2012/")
    packed(coco, folder / "coco.zip")
    shutil.copytree(coco, folder / "coco")
    return folder


def said(source: str, **options: object) -> str:
    with pytest.raises(DatasetError) as caught:
        opened(source, **options)
    message = str(caught.value)
    assert len(message.splitlines()) <= 2
    return message


def reject_of(place: ByteRange) -> Reject:
    with pytest.raises(Reject) as caught:
        read_place(place)
    return caught.value


# --- HTTP ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["voc.tar", "voc.zip", "coco.zip", "coco/annotations/instances.json"])
def test_over_http_it_is_the_dataset_of_the_file(name, site):
    local = opened(site / name)
    with serving(site) as web:
        there = opened(f"{web.url}/{name}")
        assert there.fingerprint() == local.fingerprint()
        assert keys(there) == keys(local)
        assert [read_picture(e) for e in there.entries] == [read_picture(e) for e in local.entries]
        assert repr(read_all(there)) == repr(read_all(local))
        shown = f"{web.url}/{name}" if name.endswith(".json") else f"{web.url}/{name}!"
        assert all(e.file.startswith(shown) for e in there.entries)


def test_shards_have_the_same_bytes_from_a_server_and_workers_connect_themselves(voc, site, tmp_path):
    run(voc, tmp_path / "local")
    with serving(site) as web:
        run(f"{web.url}/voc.zip", tmp_path / "there", workers=2)
        asked = json.loads((tmp_path / "there" / "run.json").read_text())["request"]
        assert asked["source"] == f"{web.url}/voc.zip"
        result = command(*["retry", str(tmp_path / "there"), "-w", "0"])
        assert result.exit_code == 0, result.output
        arguments = ["verify", str(tmp_path / "local"), "--against", f"{web.url}/voc.tar", "-w", "0"]
        assert command(*arguments).exit_code == 0
    assert promised(tmp_path / "there") == promised(tmp_path / "local")


def test_labels_that_lie_side_by_side_take_few_requests(tmp_path):
    write_voc(tmp_path / "set", {f"{i:03d}": voc_xml(object_xml()) for i in range(300)})
    packed(tmp_path / "set", tmp_path / "x.tar")
    with serving(tmp_path) as web:
        assert len(opened(f"{web.url}/x.tar").entries) == 300
        assert len(web.asked) < 20


def test_a_server_without_ranges_gives_files_and_no_archives(site):
    with serving(site, ranges=False) as web:
        there = opened(f"{web.url}/coco/annotations/instances.json")
        assert [len(read_picture(e)) for e in there.entries] == [e.size for e in there.entries]
        for name in ("voc.tar", "voc.zip"):
            assert "does not send parts of files (no byte ranges); download it" in said(f"{web.url}/{name}")


def test_a_server_that_does_not_say_sizes_or_knows_no_head(site):
    with serving(site, head=False) as web:
        assert len(opened(f"{web.url}/voc.zip").entries) == 9
    with serving(site, length=False) as web:
        there = opened(f"{web.url}/coco/annotations/instances.json")
        assert len(read_picture(there.entries[0])) > 1000
        assert "it is empty, or the server does not say its size" in said(f"{web.url}/voc.zip")


def test_what_is_not_there(site):
    with serving(site) as web:
        assert said(f"{web.url}/nope.json") == f"{web.url}/nope.json: no such file or folder"
        assert said(f"{web.url}/nope.zip").startswith(
            f"{web.url}/nope.zip: cannot be read: not found\nsee that the server"
        )
        assert said(f"{web.url}/nope.tar").startswith(f"{web.url}/nope.tar: cannot be read: not found\n")
        assert reject_of(ByteRange(f"{web.url}/nope.jpg")).code == "missing-file"
        web.faults["captions.json"] = "403"
        assert "the server refuses it (403)" in said(f"{web.url}/coco/annotations/captions.json")
    assert "cannot be read" in said("http://127.0.0.1:9/voc.zip")  # nobody listens there


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("hang", "the server does not answer in time"),
        ("cut", "the server breaks off"),
        ("500", "server answers 500"),
    ],
)
def test_a_server_that_fails_is_a_transient_reject_after_some_tries(fault, message, site):
    with serving(site) as web:
        place = opened(f"{web.url}/coco/annotations/instances.json").entries[0].picture
        web.faults["000000.jpg"] = fault
        web.asked.clear()
        reject = reject_of(place)
        assert (reject.code, reject.transient) == ("io", True)
        assert message in reject.message
        assert len(web.asked) == 3
        web.faults["000000.jpg"] = "flaky"
        assert len(read_place(place)) > 1000


@pytest.mark.parametrize("fault", ["hang", "500", "cut"])
def test_a_server_that_fails_while_a_source_is_looked_through_is_an_error(fault, site):
    with serving(site) as web:
        web.faults.update({"voc.zip": fault, "voc.tar": fault, "instances.json": fault})
        for name in ("voc.zip", "voc.tar", "coco/annotations/instances.json"):
            assert "see that the server has it and answers" in said(f"{web.url}/{name}")


def test_a_run_loses_only_what_the_server_does_not_send_and_retry_brings_it(site, coco, tmp_path):
    run(coco / "annotations" / "instances.json", tmp_path / "local")
    with serving(site) as web:
        source = f"{web.url}/coco/annotations/instances.json"
        web.faults["/coco/images/000003.jpg"] = "bytes-500"
        run(source, tmp_path / "there", max_rejects="50%")
        (row,) = [json.loads(line) for line in (tmp_path / "there" / "rejects.jsonl").read_text().splitlines()]
        assert (row["source"], row["error"], row["transient"]) == ("000003.jpg", "io", True)
        web.faults.clear()
        result = command(*["retry", str(tmp_path / "there"), "-w", "0"])
        assert result.exit_code == 0, result.output
    assert promised(tmp_path / "there")["tars"] == promised(tmp_path / "local")["tars"]


def test_names_that_a_url_would_take_for_something_else(tmp_path):
    names = ["a b.jpg", "50%.jpg", "%41.jpg", "q?x=1.jpg", "#1.jpg", "é.jpg"]
    images = [{"id": i, "file_name": name} for i, name in enumerate(names)]
    write_json(tmp_path / "a set" / "x.json", {"images": images, "annotations": []})
    for i, name in enumerate(names):
        write_picture(tmp_path / "a set" / name, (20 + i, 10))
    with serving(tmp_path) as web:
        there = opened(f"{web.url}/a%20set/x.json")
        assert sorted(keys(there)) == sorted(names)
        for entry in there.entries:
            assert read_picture(entry) == (tmp_path / "a set" / entry.key).read_bytes()


def test_a_file_that_never_ends_is_not_kept(site, monkeypatch):
    monkeypatch.setattr("augpipe.storage.byte_range.LARGEST_FILE", 1000)
    with serving(site, length=False) as web:
        assert reject_of(ByteRange(f"{web.url}/coco/images/000000.jpg")).code == "too-large"
    assert LARGEST_FILE == 1 << 28


def test_ranges_are_read_like_a_file(site):
    data = (site / "voc.tar").read_bytes()
    with serving(site) as web, io.BufferedReader(Ranges(f"{web.url}/voc.tar"), 4096) as file:
        for at, size in ((0, 10), (5000, 20_000), (len(data) - 5, 50), (len(data) + 10, 5)):
            assert file.seek(at) == at
            assert file.read(size) == data[at : at + size]
        assert file.seek(-3, io.SEEK_END) == len(data) - 3


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ftp://host/x.zip", "ftp:// is not read; known are http, https, s3, gs, gcs"),
        ("file:///etc/passwd", "file:// is not read"),
        ("https://me:secret@host/x.zip", "a password in SRC would be written into run.json"),
        ("https://host/set/", "a web server does not list its folders; expected the URL of a .json, .zip or .tar"),
        ("https://host/set.tar.gz", "a compressed tar cannot be read at random"),
        ("https://host/x.json?key=1", "a URL with '?' names a single archive or nothing"),
    ],
)
def test_urls_that_are_not_read(url, expected):
    message = said(url)
    assert expected in message
    assert "secret" not in message


def test_a_missing_library_is_named_with_the_way_to_it(monkeypatch):
    def missing(*_: object, **__: object) -> None:
        raise ImportError("Please install gcsfs to access Google Storage")

    monkeypatch.setattr(fsspec, "filesystem", missing)
    assert said("gs://bucket/x.zip").endswith("pip install 'gcsfs>=2024.6'; then run the same command again")


def test_convert_from_a_server(site, voc, tmp_path):
    with serving(site) as web:
        done("voc-to-coco", f"{web.url}/voc.tar", tmp_path / "out")
        for copy in (tmp_path / "out" / "images").iterdir():
            assert copy.read_bytes() == (voc / "JPEGImages" / copy.name).read_bytes()
        source = f"{web.url}/coco/annotations/instances.json"
        for way in ("link", "reference"):
            assert "leave --pictures copy" in refused("coco-to-yolo", source, tmp_path / "y", "--pictures", way) or (
                way == "reference"
            )
        done("coco-to-yolo", source, tmp_path / "yolo")
        assert len(list((tmp_path / "yolo" / "images").rglob("*.jpg"))) == 8
        web.faults["000002.jpg"] = "404"
        code, out, err = call("coco-to-voc", source, tmp_path / "voc")
        assert code == 0
        assert "1 picture not found" in out + err


def test_shards_on_a_server(site, coco, tmp_path):
    run(coco, tmp_path / "shards")
    local = opened(tmp_path / "shards")
    with serving(tmp_path) as web:
        last = len(list((tmp_path / "shards").glob("*.tar"))) - 1
        there = opened(f"{web.url}/shards/all-{{000000..{last:06d}}}.tar")
        assert there.fingerprint() == local.fingerprint()
        assert there.categories == local.categories
        one = opened(f"{web.url}/shards/all-000000.tar")
        assert keys(one) == keys(opened(tmp_path / "shards" / "all-000000.tar"))
        assert [read_picture(e) for e in one.entries]
        write_tar(tmp_path / "x.tar", [("a.jpg", b"1"), ("a.cls", b"0")])
        assert keys(opened(f"{web.url}/x.tar")) == ["a"]


# --- buckets ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bucket(site, voc) -> Iterator[str]:
    """An S3 server with the files of the site in a bucket."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "x", "DEFAULT_REGION": "us-east-1"}.items():
            patch.setenv(f"AWS_{name}", value)
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        client = boto3.client("s3")
        client.create_bucket(Bucket="data")
        files = {p.relative_to(site).as_posix(): p for p in site.rglob("*") if p.is_file()}
        files |= {f"VOC2012/{p.relative_to(voc).as_posix()}": p for p in voc.rglob("*") if p.is_file()}
        for name, path in files.items():
            client.put_object(Bucket="data", Key=name, Body=path.read_bytes())
        client.put_object(Bucket="data", Key="empty.zip", Body=b"")
        for folder in ("", "JPEGImages/", "Annotations/", "ImageSets/", "ImageSets/Main/", "empty/"):
            client.put_object(Bucket="data", Key=f"VOC2012/{folder}", Body=b"")  # what consoles make of a folder
        for folder in ("coco/", "coco/images/", "markers/", "markers/images/"):
            client.put_object(Bucket="data", Key=folder, Body=b"")
        client.close()
        yield "s3://data"
    server.stop()


@pytest.mark.parametrize(
    "name", ["voc.tar", "voc.zip", "coco.zip", "coco", "coco/", "coco/annotations/instances.json", "VOC2012/"]
)
def test_in_a_bucket_it_is_the_dataset_of_the_folder(name, bucket, site, voc):
    local = opened(voc if name == "VOC2012/" else site / name)
    there = opened(f"{bucket}/{name}")
    assert there.fingerprint() == local.fingerprint()
    assert keys(there) == keys(local)
    assert [read_picture(e) for e in there.entries] == [read_picture(e) for e in local.entries]
    assert repr(read_all(there)) == repr(read_all(local))


def test_shards_have_the_same_bytes_from_a_bucket(bucket, voc, tmp_path):
    run(voc, tmp_path / "local")
    # A process of its own: workers have the environment that the first run of a process had.
    command = [sys.executable, "-c", "from augpipe.cli.main import main; main()", "augment", f"{bucket}/VOC2012/"]
    subprocess.run([*command, str(tmp_path / "there"), "-r", "detection", "-w", "2"], check=True, capture_output=True)
    assert promised(tmp_path / "there")["tars"] == promised(tmp_path / "local")["tars"]


def test_pictures_of_a_local_json_in_a_bucket(bucket, coco):
    path = coco / "annotations" / "instances.json"
    for images in (f"{bucket}/coco/images/", f"{bucket}/coco.zip"):
        assert opened(path, images=images).fingerprint() == opened(path).fingerprint()


def test_what_a_bucket_does_not_have(bucket):
    assert said(f"{bucket}/nope.json") == f"{bucket}/nope.json: no such file or folder"
    assert said(f"{bucket}/nope/") == f"{bucket}/nope/: nothing is there; expected a folder with files"
    assert said(f"{bucket}/markers/") == f"{bucket}/markers/: nothing is there; expected a folder with files"
    assert "cannot be read: not found" in said(f"{bucket}/nope.tar")
    assert "cannot be read: not found" in said("s3://nobucket/x/")
    assert "cannot be read: it is empty" in said(f"{bucket}/empty.zip")
    assert reject_of(ByteRange(f"{bucket}/nope.jpg")).code == "missing-file"
    assert reject_of(ByteRange(f"{bucket}/voc.tar", 1 << 40, 10)).code == "truncated"
    assert read_place(ByteRange(f"{bucket}/empty.zip")) == b""


def test_folder_markers_are_folders_and_files_are_files():
    sizes = {"": 0, "a/": 0, "a/x.jpg": 5, "b": 0, "b/y.jpg": 5, "b/c": 0, "b/c/d/z": 0, "empty.txt": 0, "f/": 3}
    files = {"a/x.jpg": 5, "b/y.jpg": 5, "b/c/d/z": 0, "empty.txt": 0, "f/": 3}
    found = remote._without_markers({name: Version(size) for name, size in sizes.items()})
    assert {name: version.size for name, version in found.items()} == files


class _Google(MemoryFileSystem):
    """A file system of Google's paths whose files are in memory."""

    protocol = ("gs", "gcs")
    store: dict = {}  # noqa: RUF012 - as in its parent
    pseudo_dirs = [""]  # noqa: RUF012

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + path.partition("://")[2].strip("/") if "://" in path else "/" + path.strip("/")


def test_google_storage_is_read_by_the_same_calls(site, voc, monkeypatch):
    known = importlib.import_module("fsspec.registry")._registry
    monkeypatch.setitem(known, "gs", _Google)
    monkeypatch.setitem(known, "gcs", _Google)
    files = _Google()
    for path in voc.rglob("*"):
        if path.is_file():
            files.pipe_file(f"gs://bucket/voc/{path.relative_to(voc).as_posix()}", path.read_bytes())
    files.pipe_file("gs://bucket/voc.zip", (site / "voc.zip").read_bytes())
    for name in ("gs://bucket/voc", "gs://bucket/voc/", "gcs://bucket/voc.zip"):
        assert opened(name).fingerprint() == opened(voc).fingerprint()
