"""The sections of ``gpu.py`` that measure augpipe: parity, kernels, codecs, and files to files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gpu_bench import Bench, agreement

from augpipe.core.geometry import about, rotation, rounded
from augpipe.core.plan import Matrix3x4, Step
from augpipe.pixels.codec.baseline_jpeg import is_plain, whole
from augpipe.pixels.codec.header import read_header
from augpipe.pixels.codec.image import decode, encode
from augpipe.pixels.cpu import CpuBackend, apply
from augpipe.pixels.cuda.backend import GpuBackend
from augpipe.pixels.cuda.batch_codec import DeviceFirst, HostCodec, downloaded
from augpipe.pixels.cuda.launch import OutputJob, run_batch
from augpipe.pixels.steps.blur import Blur
from augpipe.pixels.steps.color import Color
from augpipe.pixels.steps.cutout import Cutout
from augpipe.pixels.steps.jpeg_compress import JpegCompress
from augpipe.pixels.steps.noise import Noise
from augpipe.pixels.steps.warp import Warp

PARITY_PICTURES = 32


def example_steps(size_wh: tuple[int, int], rng: np.random.Generator) -> dict[str, tuple[Step, ...]]:
    """Steps of each kind, and the fused ones, with numbers of their own for each picture."""
    w, h = size_wh
    turn = about((w / 2, h / 2), rotation(float(rng.uniform(-10, 10))))
    warp = Warp(matrix=rounded(turn), size_wh=size_wh)
    flip = Warp(matrix=(-1.0, 0.0, float(w), 0.0, 1.0, 0.0, 0.0, 0.0, 1.0), size_wh=size_wh)
    gain = rng.integers(800, 1250, 3) / 1024
    rows = (gain[0], 0.02, 0.0, 4.0, 0.0, gain[1], 0.02, 0.0, 0.02, 0.0, gain[2], -3.0)
    grid = tuple(float(round(v * 1024) / 1024) for v in rows)
    color = Color(stages=(Matrix3x4(grid),))
    noise = Noise(std=float(rng.uniform(2, 10)), offset=int(rng.integers(0, 1 << 20)))
    x, y = int(rng.integers(0, w // 2)), int(rng.integers(0, h // 2))
    return {
        "flip": (flip,),
        "warp": (warp,),
        "colour": (color,),
        "noise": (noise,),
        "warp + colour + noise": (warp, color, noise),
        "blur": (Blur(sigma=float(rng.uniform(0.3, 1.2))),),
        "erase": (Cutout(boxes_xyxy=((x, y, x + w // 4, y + h // 4),), fill=(0, 0, 0)),),
        "jpeg": (JpegCompress(quality=int(rng.integers(40, 95))),),
    }


class Recorder:
    """An accelerator that remembers its launches, so that the kernels alone can be run again."""

    def __init__(self, accelerator: Any) -> None:
        self._accelerator = accelerator
        self._kept: list[Any] = []
        self._launches: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._accelerator, name)

    def allocate(self, nbytes: int, stream: Any) -> Any:
        """Kept until this object goes."""
        self._kept.append(self._accelerator.allocate(nbytes, stream))
        return self._kept[-1]

    def upload(self, data: Any, stream: Any) -> Any:
        """Kept, too."""
        self._kept.append(self._accelerator.upload(data, stream))
        return self._kept[-1]

    def launch(self, *arguments: Any) -> None:
        """Done, and remembered."""
        self._launches.append(arguments)
        self._accelerator.launch(*arguments)

    def again(self) -> None:
        """The same kernels on the same memory."""
        for arguments in self._launches:
            self._accelerator.launch(*arguments)


def parity(bench: Bench) -> None:
    """The device beside the CPU: kernels from the same pixels, then decoder and encoder."""
    count = min(PARITY_PICTURES, len(bench.files))
    sources = bench.uploaded(count)
    plans: dict[str, list[tuple[Step, ...]]] = {"recipe detection": [j.steps[0] for j in bench.jobs("detection", 1)]}
    for i in range(count):
        steps = example_steps(bench.headers[i].upright_wh, np.random.default_rng(i))
        for name, chain in steps.items():
            plans.setdefault(name, []).append(chain)
    for name, chains in plans.items():
        works = [OutputJob(source, chain) for source, chain in zip(sources, chains, strict=False)]
        found = run_batch(bench.accelerator, works, bench.stream)
        pairs = [
            (downloaded(bench.accelerator, picture, bench.stream), apply(bench.decoded(i), chains[i]))
            for i, picture in enumerate(found)
        ]
        bench.results.parity.append(agreement(name, pairs))
    _parity_of_codec(bench, count)
    for found_ in bench.results.parity:
        print(f"parity       {found_.name:44} {found_.equal:9.4%} equal, at most {found_.greatest} levels", flush=True)


def _parity_of_codec(bench: Bench, count: int) -> None:
    codec = bench.codec()
    if codec is None:
        return
    jobs = list(zip(bench.files[:count], bench.headers[:count], strict=True))
    images = codec.decode(jobs, bench.stream.pointer)
    taken = [i for i, image in enumerate(images) if image is not None]
    bench.results.facts["pictures that the device's codec takes"] = f"{len(taken)} of {count}"
    pairs = [(downloaded(bench.accelerator, images[i], bench.stream), bench.decoded(i)) for i in taken]
    bench.results.parity.append(agreement("decoded by nvImageCodec", pairs))
    files = codec.encode([images[i] for i in taken], bench.stream.pointer)
    by_cpu = [encode(pixels, bench.options.picture) for pixels, _ in pairs]
    pairs = [(_read(one), _read(other)) for one, other in zip(files, by_cpu, strict=True) if one is not None]
    bench.results.parity.append(agreement("encoded by nvImageCodec", pairs))
    sizes = sum(map(len, filter(None, files))) / sum(map(len, by_cpu))
    bench.results.facts["bytes of its JPEGs beside libjpeg's"] = round(sizes, 4)
    codec.close()


def _read(data: bytes) -> np.ndarray:
    return decode(data, read_header(data))


def kernels(bench: Bench) -> None:
    """Each kernel, and the fused ones, beside a copy of as many bytes."""
    count = min(bench.batch, len(bench.files))
    sources = bench.uploaded(count)
    nbytes = sum(p.size_wh[0] * p.size_wh[1] * p.channels for p in sources)
    _copy(bench, nbytes, count)
    examples = [example_steps(p.size_wh, np.random.default_rng(i)) for i, p in enumerate(sources)]
    chains = {name: [example[name] for example in examples] for name in examples[0]}
    chains["recipe detection"] = [job.steps[0] for job in bench.jobs("detection", 1)[:count]]
    for name, steps in chains.items():
        works = [OutputJob(source, chain) for source, chain in zip(sources, steps, strict=True)]
        recorder = Recorder(bench.accelerator)
        outputs = run_batch(recorder, works, bench.stream)
        bench.on_device("kernels", name, recorder.again, count)
        del outputs
        bench.on_the_wall("host part", name, lambda works=works: run_batch(Idle(), works, bench.stream), count)
        bench.on_the_wall(
            "pixel stage", name, lambda works=works: run_batch(bench.accelerator, works, bench.stream), count
        )


def _copy(bench: Bench, nbytes: int, count: int) -> None:
    one, other = (bench.accelerator.allocate(nbytes, bench.stream) for _ in range(2))
    bench.on_device("kernels", "copy", lambda: bench.copy(one.address, other.address, nbytes), count)


class Idle:
    """An accelerator that does nothing, so that what is left of a batch is the host's part of it."""

    address = 1 << 20

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: self

    def resident(self, *arguments: object) -> int:
        """A constant that is nowhere."""
        return self.address


def codecs(bench: Bench) -> None:
    """Decoding and encoding alone, on the device and on all cores; and what it costs to know that files are whole."""
    jobs = list(zip(bench.files, bench.headers, strict=True))
    count, save = len(jobs), _encoded(bench)
    pictures = list(bench.cores.map(lambda job: decode(*job), jobs))
    for what, work, given in (
        ("decode", lambda job: decode(*job), jobs),
        ("encode", save, pictures),
        ("transcode", lambda job: save(decode(*job)), jobs),
    ):
        name = f"{what}, CPU, {bench.threads} threads"
        bench.on_the_wall("codec", name, lambda work=work, given=given: list(bench.cores.map(work, given)), count)
    bench.on_the_wall("codec", f"check, {bench.threads} threads", lambda: whole(bench.files, bench.cores), count)
    bench.on_the_wall("codec", "check of segments, 1 thread", lambda: [is_plain(*job) for job in jobs], count)
    codec = bench.codec()
    if codec is not None:
        _own_codec(bench, codec, jobs)
        _engines(bench)
        codec.close()


def _own_codec(bench: Bench, codec: Any, jobs: Sequence[Any]) -> None:
    """nvImageCodec as augpipe uses it."""
    pointer, parts = bench.stream.pointer, [jobs[part] for part in bench.batches()]

    def decoded(part: Sequence[Any]) -> list[Any]:
        return [image for image in codec.decode(part, pointer) if image is not None]

    images = [decoded(part) for part in parts]
    for what, call, count in (
        ("decode", lambda: [decoded(part) for part in parts], len(jobs)),
        ("encode", lambda: [codec.encode(some, pointer) for some in images], sum(map(len, images))),
        ("transcode", lambda: [codec.encode(decoded(part), pointer) for part in parts], len(jobs)),
    ):
        bench.on_device("codec", f"{what}, nvImageCodec", call, count)


def _encoded(bench: Bench) -> Any:
    return lambda pixels: encode(pixels, bench.options.picture)


def _engines(bench: Bench) -> None:
    """nvImageCodec's decoders one by one and without a check, to see what each could give."""
    from augpipe.pixels.cuda.nvimgcodec import load

    nv = load()
    kinds = {"CPU": nv.CPU_ONLY} if bench.on_cpu else {"JPEG engine": nv.HW_GPU_ONLY, "cores": nv.HYBRID_CPU_GPU}
    device = -99_999 if bench.on_cpu else 0
    for name, kind in kinds.items():
        try:
            decoder = nv.Decoder(
                device_id=device, max_num_cpu_threads=bench.threads, backends=[nv.Backend(kind)],
                options=":fancy_upsampling=1",
            )  # fmt: skip
            images = decoder.decode([nv.CodeStream(data) for data in bench.files[:8]])
            if any(image is None for image in images):
                raise RuntimeError("it does not take these pictures")
        except RuntimeError as error:
            bench.results.skipped[f"decode by the {name} alone"] = str(error)
            continue
        bench.on_device(
            "codec", f"decode, {name} alone, no check",
            lambda decoder=decoder: [
                decoder.decode([nv.CodeStream(data) for data in bench.files[part]], cuda_stream=bench.stream.pointer)
                for part in bench.batches()
            ],
            len(bench.files),
        )  # fmt: skip


def files_to_files(bench: Bench) -> None:
    """JPEGs to augmented JPEGs by the recipe ``detection``, all in memory: the backend as a run uses it."""
    jobs = bench.jobs("detection", 1)
    host = HostCodec(bench.accelerator, bench.options)
    own = bench.codec()
    limit = bench.accelerator.memory_limit()
    codecs_: dict[str, Any] = {"the CPU's codec": host}
    if own is not None:
        codecs_["nvImageCodec"] = DeviceFirst(own, host)
    for name, codec in codecs_.items():
        backend = GpuBackend(bench.accelerator, codec, bench.options, limit)
        bench.on_the_wall("end to end", f"device with {name}", lambda b=backend: list(b.render(jobs)), len(jobs))
        backend.close()
    if own is not None:
        own.close()
    cpu = CpuBackend(bench.options)
    few = jobs[: max(1, len(jobs) // 8)]
    bench.on_the_wall("end to end", "CPU, 1 core", lambda: list(cpu.render(few)), len(few))
    pictures = [(decode(job.data, job.header), job.steps[0]) for job in few]
    bench.on_the_wall("pixel stage", "CPU, 1 core", lambda: [apply(p, s) for p, s in pictures], len(few))
