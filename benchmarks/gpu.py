"""A GPU measured in one call: is it right, how quick is each part, and how quick are others on the same JPEGs.

    python benchmarks/gpu.py [FOLDER_OF_JPEGS] [--pictures 1024] [--batch 256] [--repeat 5] [--out FILE]
    python benchmarks/gpu.py --cpu --pictures 8 --batch 4 --repeat 2

In this order, and written after each section, so that a call that is cut short leaves what it found:

- parity: kernels beside the CPU from the same pixels, decoder and encoder beside libjpeg;
- kernels: each alone and fused, beside a copy of as many bytes on the device; the pixel stage with its planning;
- codec: decode, encode and both, by the device and by all cores of the CPU;
- end to end: JPEGs to augmented JPEGs by the recipe `detection`, with both codecs;
- torchvision v2 and Kornia, on the same JPEGs, with parameters a picture.

Times are medians after two runs that do not count: between two events of the device where one stream does the work, by
the wall clock until the device is idle where several do. What cannot be tried is listed with the reason. `--cpu` runs
all but the device: kernels by the C++ compiler, nvImageCodec on the host; its times mean nothing.

Writes OUT.json (with hardware, versions and commit) and OUT.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from about import git, processor
from gpu_bench import ROOT, Bench, Results, made, read

PACKAGES = (
    "augpipe", "numpy", "opencv-python-headless", "torch", "torchvision", "kornia", "cupy-cuda12x", "cupy-cuda13x",
    "nvidia-nvimgcodec-cu12", "nvidia-nvimgcodec-cu13", "nvidia-nvjpeg-cu12", "nvidia-nvjpeg",
)  # fmt: skip

SECTIONS = ("parity", "kernels", "codecs", "files_to_files", "torchvision", "kornia")


def section(name: str) -> Callable[[Bench], None]:
    """What a section does; imported when its turn comes, so that one that cannot be leaves the others."""
    if name in ("torchvision", "kornia"):
        import gpu_peers

        return getattr(gpu_peers, name)
    import gpu_ours

    return getattr(gpu_ours, name)


GOALS = (
    ("warp + colour + noise, kernels alone", "at most 5 µs a picture", ("kernels", "warp + colour + noise"), None),
    ("device, end to end, beside transcoding alone", "at least 0.85 of the rate",
     ("codec", "transcode, nvImageCodec"), ("end to end", "device with nvImageCodec")),
    ("end to end beside torchvision v2", "at least 3 times the rate",
     ("end to end", "torchvision v2"), ("end to end", "device with nvImageCodec")),
    ("pixel stage beside torchvision v2", "at least 50 times the rate",
     ("pixel stage", "torchvision v2"), ("pixel stage", "recipe detection")),
)  # fmt: skip


def goals(results: Results) -> list[dict[str, str]]:
    """Each goal with what came of it: a time, or the ratio of two."""
    found = []
    for name, goal, first, second in GOALS:
        one, other = results.median(*first), None if second is None else results.median(*second)
        if one is None or (second is not None and other is None):
            value = "not measured"
        else:
            value = f"{one:.2f} µs" if other is None else f"{one / other:.2f}"
        found.append({"goal": f"{name}: {goal}", "found": value})
    return found


def facts(on_cpu: bool) -> dict[str, Any]:
    """Hardware, versions and commit."""
    from augpipe.pixels.cuda.probe import probe

    found = probe()
    return {
        "device": [asdict(gpu) for gpu in found.gpus] if not on_cpu else "none (--cpu)",
        "driver": found.driver,
        "cuda": found.cuda,
        "nvrtc": found.nvrtc,
        "processor": processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version for name in PACKAGES if (version := _version(name))},
        "commit": git("rev-parse", "HEAD"),
        "changed since": bool(git("status", "--porcelain", "--untracked-files=no")),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def table(results: Results) -> str:
    """The results for people."""
    lines = ["# The GPU, measured", "", "| goal | found |", "|---|---|"]
    lines += [f"| {row['goal']} | {row['found']} |" for row in goals(results)]
    lines += ["", "| beside the CPU | pictures | equal | at most | mean |", "|---|--:|--:|--:|--:|"]
    lines += [
        f"| {p.name} | {p.pictures} | {p.equal:.4%} | {p.greatest} levels | {p.mean:.4f} |" for p in results.parity
    ]
    lines += ["", "| section | what | µs a picture | from | to | pictures/s | clock |", "|---|---|--:|--:|--:|--:|---|"]
    lines += [
        f"| {r.section} | {r.name} | {r.median_us:.2f} | {r.least_us:.2f} | {r.most_us:.2f} "
        f"| {1e6 / r.median_us:,.0f} | {r.clock} |"
        for r in results.rows
    ]
    lines += ["", *(f"- not tried: {name}: {why}" for name, why in results.skipped.items()), ""]
    lines += [f"- {name}: {json.dumps(value) if isinstance(value, list | dict) else value}"
              for name, value in results.facts.items()]  # fmt: skip
    return "\n".join(lines) + "\n"


def write(results: Results, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    value = {**results.to_json(), "goals": goals(results)}
    out.with_suffix(".json").write_text(json.dumps(value, indent=1, sort_keys=True) + "\n")
    out.with_suffix(".md").write_text(table(results))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="JPEGs; made ones if not given")
    parser.add_argument("--pictures", type=int, default=1024)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, with commas")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "gpu")
    parser.add_argument("--cpu", action="store_true", help="all but the device; its times mean nothing")
    options = parser.parse_args()
    unknown = set(options.only.split(",")) - set(SECTIONS)
    if unknown or min(options.pictures, options.batch, options.repeat, options.threads) < 1:
        parser.error(f"--only expects {','.join(SECTIONS)}, and numbers must be 1 or more")
    files = made(options.pictures) if options.folder is None else read(options.folder, options.pictures)
    if not files:
        parser.error(f"{options.folder}: holds no JPEG")
    about = facts(options.cpu)  # before CUDA is started here
    if not options.cpu and not about["device"]:
        sys.exit("no CUDA device that works: see augpipe doctor; --cpu runs all but the device")
    bench = Bench(files, options.batch, options.repeat, options.threads, options.cpu)
    results = bench.results
    results.facts |= about
    results.facts["pictures"] = (
        f"{len(files)} of {sum(map(len, files)) / len(files) / 1000:.1f} kB, batches of {options.batch}"
    )
    results.facts["command"] = " ".join(sys.argv)
    broken = False
    for name in options.only.split(","):
        started = time.perf_counter()
        try:
            section(name)(bench)
        except ImportError as error:
            results.skipped[name] = str(error)
        except Exception as error:  # a section of its own: what the others find must not be lost with it
            results.skipped[name] = f"failed: {type(error).__name__}: {error}"
            broken = True
        if name in results.skipped:
            print(f"{name}: {results.skipped[name]}", file=sys.stderr, flush=True)
        results.facts.setdefault("seconds", {})[name] = round(time.perf_counter() - started, 1)
        write(results, options.out)
    print(table(results))
    unequal = [p.name for p in results.parity if p.equal < 1 and "nvImageCodec" not in p.name]
    if unequal or broken:
        sys.exit(f"not equal to the CPU: {', '.join(unequal) or 'none'}; sections that failed: {broken}")


if __name__ == "__main__":
    main()
