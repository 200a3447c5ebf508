"""Small sources for the tests of reading, built from nothing but text, Pillow and tarfile, and slow oracles beside."""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from places import SHARED
from pycocotools import mask as coco_mask

from augpipe.core.annotations import Annotations, Rle
from augpipe.core.errors import DatasetError, Reject
from augpipe.formats.base import Dataset, SourceOptions
from augpipe.formats.registry import open_dataset


def needs(name: str):
    """Skips a test where the shared data are not there."""
    return pytest.mark.skipif(not (SHARED / name).exists(), reason=f"needs ../shared/data/{name}")


# --- pictures --------------------------------------------------------------------------------------------------------


def photo(size_wh: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Slow waves (H, W, 3), RGB, with every corner of its own colour."""
    w, h = size_wh
    x, y = np.meshgrid(np.linspace(0, 3, w), np.linspace(0, 2, h))
    waves = [127 + 60 * np.sin(x * (c + 1) + seed) + 60 * np.cos(y * (3 - c) + seed) for c in range(3)]
    return np.stack(waves, axis=-1).astype(np.uint8)


def encoded(pixels: np.ndarray | Image.Image, form: str = "JPEG", **options: Any) -> bytes:
    """Pillow's file of some pixels."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def exif(orientation: int) -> Image.Exif:
    out = Image.Exif()
    out[274] = orientation
    return out


def write_picture(path: Path, size_wh: tuple[int, int] = (20, 10), **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    form = {".png": "PNG", ".bmp": "BMP", ".webp": "WEBP"}.get(path.suffix.lower(), "JPEG")
    path.write_bytes(encoded(photo(size_wh), form, **options))
    return path


def write_mask(path: Path, values: np.ndarray, mode: str = "L", palette: Sequence[int] | None = None) -> Path:
    """A mask PNG: ``L``, ``P`` (with a palette), ``RGB`` (gray values three times) or ``1``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(values, np.uint8))
    if mode == "P":
        image.putpalette(list(palette or [v for i in range(256) for v in (i, 255 - i, i // 2)]))
    elif mode != "L":
        image = image.convert(mode)
    image.save(path)
    return path


# --- Pascal VOC ------------------------------------------------------------------------------------------------------


def box_xml(xmin: object, ymin: object, xmax: object, ymax: object) -> str:
    return f"<bndbox><xmin>{xmin}</xmin><ymin>{ymin}</ymin><xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox>"


def object_xml(name: str = "cat", box: Sequence[object] = (1, 1, 10, 8), more: str = "") -> str:
    return f"<object><name>{name}</name>{more}{box_xml(*box)}</object>"


def voc_xml(*objects: str, size: tuple[int, int] | None = (20, 10), filename: str | None = None, more: str = "") -> str:
    """An annotation; ``size`` ``None`` leaves it out."""
    sized = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>" if size else ""
    named = f"<filename>{filename}</filename>" if filename is not None else ""
    return f"<annotation>{named}{sized}{more}{''.join(objects)}</annotation>"


def write_voc(
    root: Path, xmls: Mapping[str, str], xml_folder: str = "Annotations", pictures: str | None = "JPEGImages"
) -> Path:
    """XML files by stem, each with a picture ``stem.jpg`` unless ``pictures`` is ``None``."""
    for stem, xml in xmls.items():
        path = root / xml_folder / f"{stem}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(xml, "utf-8")
        if pictures is not None:
            write_picture(root / pictures / f"{stem}.jpg")
    return root


def boxes_by_regex(xml: str) -> list[tuple[str, tuple[float, float, float, float]]]:
    """(name, half-open box) of each object, without a parser: VOC counts from 1 and includes the last pixel."""
    out = []
    without_parts = re.sub(r"<part>.*?</part>", "", xml, flags=re.DOTALL)
    for block in re.findall(r"<object>(.*?)</object>", without_parts, re.DOTALL):
        number = {k: float(re.search(rf"<{k}>\s*(\S+?)\s*</{k}>", block)[1]) for k in ("xmin", "ymin", "xmax", "ymax")}
        name = re.search(r"<name>\s*(.*?)\s*</name>", block)[1]
        out.append((name, (number["xmin"] - 1, number["ymin"] - 1, number["xmax"], number["ymax"])))
    return out


# --- COCO ------------------------------------------------------------------------------------------------------------

CAT = {"id": 1, "name": "cat"}


def image(number: Any = 1, file_name: str = "a.jpg", size: tuple[int, int] | None = (20, 10), **more: Any) -> dict:
    sized = {} if size is None else {"width": size[0], "height": size[1]}
    return {"id": number, "file_name": file_name, **sized, **more}


def row(number: Any = 1, image_id: Any = 1, **more: Any) -> dict:
    """An annotation; a field that is given as ``None`` is left out."""
    out = {"id": number, "image_id": image_id, "category_id": 1, "bbox": [2, 1, 5, 4], **more}
    return {k: v for k, v in out.items() if v is not None}


def coco(
    images: Sequence[dict] | None = None, rows: Sequence[dict] = (), categories: Sequence[Any] = (CAT,), **more: Any
) -> dict:
    return {"images": [image()] if images is None else list(images), "annotations": list(rows),
            "categories": list(categories), **more}  # fmt: skip


def write_json(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
    return path


def read_coco(tmp_path: Path, document: Any, **options: Any) -> Annotations:
    """The labels of the first picture of a document."""
    return read_all(open_dataset(str(write_json(tmp_path / "x.json", document)), SourceOptions(**options)))[0]


def decode(segmentation: Rle | Mapping[str, Any]) -> np.ndarray:
    """The pixels (H, W) of a run-length code, by pycocotools."""
    if isinstance(segmentation, Rle):
        segmentation = {"size": list(segmentation.size_hw), "counts": segmentation.counts}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # its own, of NumPy 2
        return coco_mask.decode(segmentation)


def rle_json(mask: np.ndarray) -> dict:
    """The compressed code of a mask (H, W), by pycocotools."""
    code = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(code["size"]), "counts": code["counts"].decode()}


# --- tars ------------------------------------------------------------------------------------------------------------


def write_tar(path: Path, members: Iterable[tuple[str, bytes]], form: int = tarfile.USTAR_FORMAT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=form) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


# --- reading ---------------------------------------------------------------------------------------------------------


def opened(src: Path | str, **options: Any) -> Dataset:
    return open_dataset(str(src), SourceOptions(**options))


def read_all(dataset: Dataset) -> list[Annotations]:
    """The labels of every entry, in order."""
    return [dataset.reader.annotations(entry) for entry in dataset.entries]


def rejected(dataset: Dataset, key: str | None = None) -> Reject:
    """Why the labels of an entry cannot be read."""
    entry = next(e for e in dataset.entries if key in (None, e.key))
    with pytest.raises(Reject) as caught:
        dataset.reader.annotations(entry)
    return caught.value


def keys(dataset: Dataset) -> list[str]:
    return [entry.key for entry in dataset.entries]


def contents(folder: Path) -> dict[str, bytes]:
    """Relative path → bytes of every file, to see that nothing was touched."""
    return {os.path.relpath(p, folder): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def said(source: Path | str, **options: object) -> str:
    with pytest.raises(DatasetError) as caught:
        opened(source, **options)
    message = str(caught.value)
    assert len(message.splitlines()) <= 2
    return message


def panoptic_set(root: Path, png: bool = True) -> tuple[np.ndarray, list[Any]]:
    """A panoptic COCO set of one picture at root: its ids, and its ``segments_info``, two of which are none."""
    ids = np.zeros((10, 20), np.uint32)
    ids[2:5, 3:9], ids[6:, 10:] = 1_000_000, 7
    segments = [{"id": 1_000_000, "category_id": 1, "area": 18, "bbox": [3, 2, 6, 3], "iscrowd": 0, "free": "x"},
                {"id": 7, "category_id": 1}, {"category_id": 1}, "no"]  # fmt: skip
    rows = [{"image_id": 1, "file_name": "a.png", "segments_info": segments}]
    write_json(root / "annotations" / "panoptic_train.json", coco(rows=rows))
    write_picture(root / "val" / "a.jpg")
    if png:
        (root / "annotations" / "panoptic_train").mkdir()
        rgb = np.dstack([ids & 255, ids >> 8 & 255, ids >> 16]).astype(np.uint8)
        Image.fromarray(rgb).save(root / "annotations" / "panoptic_train" / "a.png")
    return ids, segments
