"""Hostile tars, recipes and finished folders."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from builders import write_json, write_tar
from hostile import CASES, ERROR, GOOD, READ, Case, augment, case, laughs
from hostile_pictures import zeros_packed

# --- tars ------------------------------------------------------------------------------------------------------------

TARS = "Tars"
CLS = ("good.cls", b"0")


def tar_case(
    name: str, outcome: str, members: Iterable[tuple[str, bytes]] | Callable[[Path], object], says: str = ""
) -> None:
    """A tar of such members, with a good sample before them; or whatever a function writes."""

    def build(folder: Path) -> list[str]:
        path = folder / "SRC" / "x.tar"
        path.parent.mkdir()
        if callable(members):
            members(path)
        else:
            write_tar(path, [("good.jpg", GOOD), CLS, *members], tarfile.PAX_FORMAT)
        return augment(folder / "SRC")

    CASES.append(Case(TARS, name, outcome, build, says))


def special(kind: bytes, **more: Any) -> Callable[[Path], None]:
    """A tar with a member of a special kind."""

    def write(path: Path) -> None:
        with tarfile.open(path, "w") as tar:
            for name, data in (("good.jpg", GOOD), CLS, ("b.cls", b"0")):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
            info = tarfile.TarInfo("b.jpg")
            info.type, info.linkname = kind, "/etc/passwd"
            for name, value in more.items():
                setattr(info, name, value)
            tar.addfile(info)

    return write


def patched(data: bytes, offset: int, field: int, value: bytes) -> bytes:
    """A tar of which a header says something else, with a checksum that fits."""
    header = bytearray(data[offset : offset + 512])
    header[field : field + len(value)] = value
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return data[:offset] + bytes(header) + data[offset + 512 :]


def long_header(kind: bytes) -> Callable[[Path], None]:
    """A header for a name of 8 GB, which is a hole in the file."""

    def write(path: Path) -> None:
        write_tar(path, [("good.jpg", GOOD), CLS, ("b.jpg", GOOD), ("b.cls", b"0")])
        data = path.read_bytes()
        place = data.index(b"b.jpg\0")
        data = patched(data, place, 124, b"77777777777\0")
        path.write_bytes(patched(data, place, 156, kind))
        with open(path, "r+b") as file:
            file.truncate(9 << 30)

    return write


def with_size(size: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        data = write_tar(path, [("good.jpg", GOOD), CLS, ("b.jpg", GOOD), ("b.cls", b"0")]).read_bytes()
        path.write_bytes(patched(data, data.index(b"b.jpg\0"), 124, size))

    return write


tar_case(
    "members called ../../b.jpg and ../../b.cls, which are only names",
    READ,
    [("../../b.jpg", GOOD), ("../../b.cls", b"0")],
)
tar_case("members called /etc/b.jpg and /etc/b.cls", READ, [("/etc/b.jpg", GOOD), ("/etc/b.cls", b"0")])
tar_case("a link to /etc/passwd for a picture", "reject missing-picture", special(tarfile.SYMTYPE), "left out")
tar_case(
    "a hard link for a picture", "reject missing-picture", special(tarfile.LNKTYPE, linkname="good.jpg"), "left out"
)
tar_case("a device for a picture", "reject missing-picture", special(tarfile.CHRTYPE), "left out")
tar_case("a pipe for a picture", "reject missing-picture", special(tarfile.FIFOTYPE), "left out")
tar_case(
    "a sparse file of 1 TB for a picture",
    "reject missing-picture",
    special(tarfile.REGTYPE, pax_headers={"GNU.sparse.map": "0,0", "GNU.sparse.size": str(1 << 40)}),
    "left out",
)
tar_case(
    "a key that comes twice", ERROR, [("good.png", GOOD), ("x.jpg", GOOD), ("good.jpg", GOOD)], "keys must be unique"
)
tar_case("a member that comes twice", ERROR, [("b.jpg", GOOD), ("b.JPG", GOOD)], "is there twice")
tar_case("a key with dots in its folder", READ, [("v1.2/../b.jpg", GOOD), ("v1.2/../b.cls", b"0")])
tar_case("a member without a key or an ending", READ, [("README", b"x"), ("b", b"x")], "left out")
tar_case("names with lines and colours", READ, [("x\n\x1b[31m.jpg", GOOD), ("x\n\x1b[31m.cls", b"0")])
tar_case("a size that is negative", ERROR, with_size(b"-0000001000\0"))
tar_case("a size of 2^88 bytes", ERROR, with_size(b"\x80" + b"\xff" * 11))
tar_case("a long name of 8 GB", ERROR, long_header(b"L"), "not a tar that can be read")
tar_case("an extended header of 8 GB", ERROR, long_header(b"x"), "not a tar that can be read")
tar_case(
    "a gzip of 10 GB of zeros called .tar",
    ERROR,
    lambda path: path.write_bytes(b"\x1f\x8b\x08" + zeros_packed(1 << 28)),
    "not a tar that can be read",
)
tar_case(
    "25,000 empty members",
    READ,
    lambda path: write_tar(path, [("good.jpg", GOOD), CLS, *((f"{i}.txt", b"") for i in range(25_000))]),
    "left out",
)
tar_case("a class number of a million digits", "reject bad-class", [("b.jpg", GOOD), ("b.cls", b"9" * 1_000_000)])
tar_case("a class number of 2^31", "reject bad-class", [("b.jpg", GOOD), ("b.cls", b"2147483648")])
tar_case("JSON nested in a million lists", "reject too-large", [("b.jpg", GOOD), ("b.json", b"[" * 1_000_000)])
tar_case("a billion laughs beside a picture", "reject entity", [("b.jpg", GOOD), ("b.xml", laughs(10, 10).encode())])
tar_case(
    "a record of ours that names no class",
    ERROR,
    [("b.jpg", GOOD), ("b.json", b'{"schema": "augpipe/1", "objects": [{"category_id": {}, "label": "\\u001b[31m"}]}')],
)

# --- recipes ---------------------------------------------------------------------------------------------------------

RECIPES = "Recipes"


def recipe(name: str, says: str, text: str | Callable[[], str], *overrides: str) -> None:
    """A recipe that is an error."""

    def build(folder: Path) -> list[str]:
        (folder / "x.yaml").write_text(text() if callable(text) else text, "utf-8")
        return ["recipes", "check", str(folder / "x.yaml"), *(a for o in overrides for a in ("--set", o))]

    CASES.append(Case(RECIPES, name, ERROR, build, says))


def aliases(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, levels)]
    return "\n".join(lines) + "\nversion: 1\n"


STEP = "version: 1\nsteps:\n- {}\n"
recipe("a billion laughs of aliases", "more than 20000 values", lambda: aliases(10))
recipe("an alias of itself", "", "version: 1\nsteps: &a\n- *a\n")
recipe(
    "lists nested 20,000 levels deep", "nested too deeply", lambda: "version: 1\nsteps: " + "[" * 20_000 + "]" * 20_000
)
recipe(
    "!!python/object/apply:os.system", "is not read", STEP.format("!!python/object/apply:os.system ['touch hacked']")
)
recipe("!!python/name:os.system", "is not read", STEP.format("horizontal_flip: {p: !!python/name:os.system }"))
recipe("a tag of its own", "is not read", STEP.format("!os.system {p: 1}"))
recipe("a step called os.system", "unknown", STEP.format("os.system: {command: id}"))
recipe("a step called __import__('os')", "unknown", STEP.format("\"__import__('os')\": {}"))
recipe("a parameter called __class__", "unknown", STEP.format("horizontal_flip: {__class__: x}"))
recipe("a step whose name is lines and colours", "unknown", STEP.format('"\\e[31m\\n\\nflip": {}'))
recipe("a number of a million digits", "", lambda: STEP.format(f"horizontal_flip: {{p: {'9' * 90_000}}}"))
recipe("p: .inf", "", STEP.format("horizontal_flip: {p: .inf}"))
recipe("a canvas of 10^9 pixels a side", "", STEP.format("resize: {size: [1000000000, 1000000000]}"))
recipe("a text of 10 MB", "more than 100 kB", lambda: "#" * 10_000_000)
recipe(
    "an override that names a module",
    "",
    STEP.format("horizontal_flip: {p: 1}"),
    "steps.os.system.p=!!python/name:os.system",
)


@case(RECIPES, "/dev/zero for a recipe", ERROR, "")
def _(folder: Path) -> list[str]:
    return ["recipes", "check", "/dev/zero"]


# --- finished folders ------------------------------------------------------------------------------------------------

FOLDERS = "Finished folders"


@case(FOLDERS, "a manifest that is a pipe, in verify", ERROR, "manifest.json")
def _(folder: Path) -> list[str]:
    (folder / "SRC").mkdir()
    os.mkfifo(folder / "SRC" / "manifest.json")
    return ["verify", str(folder / "SRC")]


def folder_case(name: str, outcome: str, manifest: Any, says: str = "", command: str = "inspect") -> None:
    """A manifest, and the command that reads it."""

    def build(folder: Path) -> list[str]:
        (folder / "SRC").mkdir()
        write_json(folder / "SRC" / "manifest.json", manifest() if callable(manifest) else manifest)
        return [command, str(folder / "SRC")]

    CASES.append(Case(FOLDERS, f"{name}, in {command}", outcome, build, says))


for reader in ("inspect", "verify"):
    folder_case("a manifest without anything in it", ERROR, {"schema": "augpipe/1"}, "manifest.json", reader)
    folder_case("a manifest that is a list", ERROR, [], "manifest.json", reader)
    folder_case("a manifest that is no JSON", ERROR, b"\xff\xfe{", "manifest.json", reader)
    folder_case("a manifest nested in a million lists", ERROR, lambda: b"[" * 1_000_000, "manifest.json", reader)
    folder_case(
        "a manifest that names ../../x.tar",
        ERROR,
        {"schema": "augpipe/1", "config": {"categories": []}, "shards": [{"name": "../../x.tar", "samples": 1}]},
        "manifest.json",
        reader,
    )
