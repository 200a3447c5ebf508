"""What the commands share: options with the same meaning everywhere, errors, numbers."""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import signal
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from augpipe.core.errors import AugpipeError, UsageError, fault, one_line
from augpipe.formats.catalogue import FORMATS

from . import interrupts, streams

if TYPE_CHECKING:
    from augpipe.formats.base import SourceOptions
    from augpipe.pixels.codec.pixel_reading import PixelReading

Command = TypeVar("Command", bound=Callable[..., Any])

_debug = False


def _set_debug(value: bool) -> bool:
    global _debug  # noqa: PLW0603 - one process, one command line
    _debug = value
    return value


Debug = Annotated[bool, typer.Option("--debug", callback=_set_debug, help="Show a traceback with an error.")]
SourceArgument = Annotated[
    str,
    typer.Argument(metavar="SRC", help="A dataset: a folder, COCO .json, .tar, .zip, pattern of tars, or URL of one."),
]
RecipeName = Annotated[
    str, typer.Option("--recipe", "-r", metavar="NAME|FILE", help="A shipped recipe's name, or a .yaml file.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Override a value, as in steps.affine.rotate='[-5, 5]'."),
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of all random numbers.")]
From = Annotated[
    str | None,
    typer.Option("--from", metavar="FORMAT", help=f"{' or '.join(', '.join(FORMATS).rsplit(', ', 1))}."),
]
Split = Annotated[str | None, typer.Option("--split", metavar="S", help="Only the list, folder or JSON of that name.")]
Classes = Annotated[
    str | None,
    typer.Option("--classes", metavar="FILE|A,B", help="The classes to keep, in this order; or a file, a name a line."),
]
Map = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="OLD=NEW|FILE", help="Call a class otherwise; those of one name become one."),
]
Crowds = Annotated[
    str,
    typer.Option("--crowds", metavar="keep|instances|drop", help="Crowds of COCO: as they are, as objects, or not."),
]
SizeMismatch = Annotated[
    str,
    typer.Option("--size-mismatch", metavar="keep|scale|reject", help="Labels that state another size, if they fit."),
]
Images = Annotated[
    str | None,
    typer.Option(
        "--images",
        metavar="DIR",
        help="Where pictures apart from labels are: a folder; for COCO also an archive or URL.",
    ),
]
Kind = Annotated[
    str | None,
    typer.Option("--kind", metavar="KIND", help="What YOLO's rows hold: detect, segment, pose or obb; else found."),
]
Ids = Annotated[
    str, typer.Option("--ids", metavar="keep|sequential", help="COCO's ids: those of the source, or 1, 2, 3, …")
]
Limit = Annotated[int | None, typer.Option("--limit", metavar="N", help="Only the first N pictures in sorted order.")]
Exif = Annotated[
    str,
    typer.Option("--exif", metavar="upright|stored", help="What labels of a turned picture mean, where nothing tells."),
]
VocOrigin = Annotated[int, typer.Option("--voc-origin", metavar="1|0", help="What Pascal VOC boxes count from.")]
Void = Annotated[int, typer.Option("--void", metavar="N", help="Value of new ground in semantic masks.")]
Range = Annotated[
    str,
    typer.Option("--range", metavar="auto|full|LOW,HIGH", help="Values of 16-bit pixels that become black and white."),
]
Bands = Annotated[
    str | None,
    typer.Option("--bands", metavar="R,G,B", help="Bands of a TIFF, counted from 1; the first three if not given."),
]
Channels = Annotated[
    str, typer.Option("--channels", metavar="source|rgb", help="rgb makes three equal channels of gray.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]


def source_options(
    format: str | None = None,
    split: str | None = None,
    classes: str | None = None,
    images: str | None = None,
    limit: int | None = None,
    *,
    map: list[str] | None = None,
    **labels: Any,
) -> SourceOptions:
    """The options of a source; ``labels`` are exif, voc_origin and void. Raises UsageError for impossible values."""
    from augpipe.formats.base import SourceOptions

    from . import class_options

    exif, voc_origin, void = labels.get("exif", "upright"), labels.get("voc_origin", 1), labels.get("void", 255)
    if exif not in ("upright", "stored"):
        raise UsageError(f"--exif {one_line(exif)}: expected upright or stored")
    if voc_origin not in (0, 1):
        raise UsageError(f"--voc-origin {voc_origin}: expected 1 or 0")
    if not 0 <= void <= 255:
        raise UsageError(f"--void {void}: expected 0 to 255")
    if (crowds := labels.get("crowds", "keep")) not in ("keep", "instances", "drop"):
        raise UsageError(f"--crowds {one_line(crowds)}: expected keep, instances or drop")
    if (mismatch := labels.get("size_mismatch", "keep")) not in ("keep", "scale", "reject"):
        raise UsageError(f"--size-mismatch {one_line(mismatch)}: expected keep, scale or reject")
    if limit is not None and limit < 1:
        raise UsageError(f"--limit {limit}: expected 1 or more")
    file, keep = class_options.asked(classes)
    renamed = class_options.renamed(map or ())
    return SourceOptions(
        format, split, file, images, limit, exif, voc_origin, void, keep, renamed, crowds=crowds, size_mismatch=mismatch
    )


def pixel_reading(levels: str, bands: str | None, channels: str) -> PixelReading:
    """The reading of pixels that the options ask for. Raises UsageError for impossible values."""
    from augpipe.pixels.codec.pixel_reading import parsed

    return parsed(levels, bands, channels)


_GO_ON = ("augment", "tile", "crops", "retry", "finish")
_DATASET = ("merge", "filter", "rename", "split")
_ELSEWHERE = (*_GO_ON, *_DATASET, "convert", "replay", "preview", "verify", "doctor", "check")
"""Commands whose result is a folder, a file or the exit code, and not what they print."""
_STOPPED = {
    **dict.fromkeys(_GO_ON, "stopped; what is finished stays, run the same command to go on"),
    **dict.fromkeys(("convert", *_DATASET), "stopped; nothing was written"),
}


def drawing_to(output: str | None, option: str, *datasets: str | Path | None) -> Path | None:
    """The file for a sheet, checked before the work; UsageError if it is no local .png, or lies in a dataset."""
    if output is None:
        return None
    from augpipe.core.paths import local_path

    path = local_path(output, option)
    if path.suffix.lower() != ".png":
        raise UsageError(f"{one_line(path, 4096)}: expected a name that ends in .png")
    return place_outside(output, option, *datasets)


def place_outside(output: str, option: str, *datasets: str | Path | None) -> Path:
    """The file for a result, checked before the work; UsageError if none can be there, or it lies in a dataset."""
    from augpipe.core.paths import local_path, real_path
    from augpipe.storage.remote import is_url
    from augpipe.storage.resolve import require_possible

    path = local_path(output, option)
    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(f"{one_line(path, 4096)}: is a folder, or its folder does not exist; choose another place")
    for dataset in datasets:
        if dataset is not None:
            require_possible(str(dataset))
    place = real_path(path)
    for dataset in datasets:
        root = None if dataset is None or is_url(str(dataset)) else real_path(dataset)
        if root is not None and (place == root or root in place.parents):
            raise UsageError(f"{one_line(path, 4096)}: lies in {one_line(dataset, 4096)}; choose a place outside it")
    return path


def text_to(output: str | None, option: str, source: str) -> Path | None:
    """The file for a text, checked before the work; UsageError if it is no place for one, or is the source."""
    if output is None:
        return None
    from augpipe.core.paths import local_path, real_path

    path = local_path(output, option)
    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(f"{one_line(path, 4096)}: is a folder, or its folder does not exist; choose another place")
    if real_path(path) == real_path(source):
        raise UsageError(f"{one_line(path, 4096)}: is the file that is read; choose another place")
    return path


def save_text(path: Path, text: str) -> None:
    """Write a text whole or not at all."""
    temporary = path.with_name(f".{secrets.token_hex(6)}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        raise UsageError(
            f"{one_line(path, 4096)}: could not be written: {one_line(error.strerror or error)}"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def handled(command: Command) -> Command:
    """The command with errors as one or two lines on stderr and an exit code.

    A command that was asked to stop has stopped, whatever became of the interrupt on its way through libraries.
    """

    @functools.wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        streams.result_is_printed(command.__name__ not in _ELSEWHERE)
        try:
            with interrupts.heard():
                result = command(*args, **kwargs)
                interrupts.check()
                return result
        except (typer.Exit, typer.Abort) as end:
            raise _stopped(command, end) if interrupts.asked() else end from None
        except KeyboardInterrupt as error:
            raise _stopped(command, error) from None
        except Exception as error:
            if interrupts.asked():
                raise _stopped(command, error) from None
            code, message = _outcome(error)
            _complain(message)
            raise typer.Exit(code) from error
        finally:
            _set_debug(False)

    return wrapper  # type: ignore[return-value]


def _stopped(command: Callable[..., Any], error: BaseException) -> typer.Exit:
    """Say that the command was stopped."""
    if _debug:
        traceback.print_exception(error)
    typer.echo(f"augpipe: {_STOPPED.get(command.__name__, 'stopped')}", err=True)
    return typer.Exit(interrupts.end_by(interrupts.asked() or signal.SIGINT))


def _outcome(error: Exception) -> tuple[int, str]:
    """Exit code and message of what went wrong."""
    if isinstance(error, AugpipeError):
        hint = _hint_if_folder_is_gone()
        return error.exit_code, f"{str(error).partition(chr(10))[0]}{hint}" if hint else str(error)
    if isinstance(error, OSError):
        name = f"{error.filename}: " if error.filename else ""
        return 1, f"{name}{error.strerror or error}{_hint_if_folder_is_gone()}"
    if isinstance(error, MemoryError):
        return 1, "not enough memory; close other programs, or take fewer --workers"
    if isinstance(error, ImportError):
        return 1, (
            f"a library does not load: {one_line(_first_cause(error), 400)}\n"
            "give it more memory and descriptors, or install it again; --debug shows the traceback"
        )
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        return 1, "the system allows no further thread; raise its limit (ulimit -u), or take fewer --workers"
    return 1, f"{one_line(fault('read', error).message, 500)}; --debug shows the traceback"  # a fault of this program


def _first_cause(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _hint_if_folder_is_gone() -> str:
    try:
        os.getcwd()
    except OSError:
        return "\nthe working directory has been deleted; go to another one, and run the same command again"
    return ""


def _complain(message: str) -> None:
    if _debug:
        traceback.print_exc()
    lines = [one_line(line, 600) for line in message.split("\n") if line.strip()]
    typer.echo("augpipe: " + "\n         ".join(lines), err=True)


def say(*lines: str) -> None:
    """Print lines on stderr, where everything goes that is not the command's result."""
    for line in lines:
        typer.echo(line, err=True)


def counted(counts: Mapping[str, int]) -> str:
    """``a 3, b 1``, most first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {n:,}" for name, n in ordered)


def megabytes(count: int) -> str:
    """A size for people."""
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def plural(n: int, noun: str) -> str:
    """``1 picture``, ``2 pictures``."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def table(rows: Iterable[tuple[str, ...]], indent: str = "  ") -> str:
    """Rows of text in aligned columns, numbers to the right, without control characters."""
    cells = [tuple(map(one_line, row)) for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))] if cells else []
    numeric = [all(_is_number(row[i]) for row in cells[1:]) for i in range(len(widths))]
    lines = []
    for row in cells:
        parts = [c.rjust(w) if n else c.ljust(w) for c, w, n in zip(row, widths, numeric, strict=True)]
        lines.append((indent + "  ".join(parts)).rstrip())
    return "\n".join(lines)


def _is_number(cell: str) -> bool:
    """Whether a cell is a number, a share, a difference, or the dash for none."""
    return cell == "-" or cell.lstrip("+-−").rstrip("%×").replace(",", "").replace(".", "").isdigit()
