"""A run goes on with the device it was begun with, wherever it goes on; what cannot is refused with both ways out."""

from __future__ import annotations

import functools
import json

import pytest
from command_line import call
from fake_cuda import working
from runs import recipe_of, run

from augpipe.core.errors import UsageError
from augpipe.formats.registry import open_dataset
from augpipe.pixels.cuda.probe import Probe, ProbeFault
from augpipe.pixels.cuda.select import Device, resolve
from augpipe.run import retry as retrying
from augpipe.run.augment import begun, continued
from augpipe.run.config import Execution, RunOptions, config_of
from augpipe.run.devices import device_of, kept_device

RECIPE = recipe_of("version: 1\nsteps:\n- horizontal_flip\n")
NO_DRIVER = Probe(ProbeFault("no-driver", "there is no NVIDIA driver"))


def never() -> Probe:
    raise AssertionError("not asked for")


@pytest.fixture(scope="module")
def finished(voc, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "out"
    run(voc, folder, RECIPE)
    return folder


@pytest.fixture
def folder(finished, tmp_path):
    """A folder whose run.json can be written to."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "run.json").write_bytes((finished / "run.json").read_bytes())
    return out


def begun_with(folder, backend: object):
    state = json.loads((folder / "run.json").read_text())
    state["config"]["backend"] = backend
    (folder / "run.json").write_text(json.dumps(state))
    return folder


ON_CUDA = {"device": "cuda", "codec": "nvimgcodec"}


# --- the configuration -----------------------------------------------------------------------------------------------


def test_the_configuration_says_device_codec_and_their_versions(voc):
    dataset = open_dataset(str(voc))
    plain = config_of(dataset, RECIPE, RunOptions())
    assert plain["backend"] == {"device": "cpu", "codec": "cpu"}
    assert not {"cupy", "driver", "nvrtc", "nvimgcodec", "gpu"} & set(plain["versions"])
    device = resolve("cuda", probed=working)
    there = config_of(dataset, RECIPE, RunOptions(device=device))
    assert there["backend"] == ON_CUDA
    assert there["versions"] == {**plain["versions"], **device.versions}
    json.dumps(there)


def test_another_device_is_another_configuration(voc, tmp_path):
    dataset = open_dataset(str(voc))

    def config(device: Device) -> dict:
        return config_of(dataset, RECIPE, RunOptions(device=device))

    on_cuda = resolve("cuda", probed=working)
    by_cpu = resolve("cuda", "cpu", working)
    for before, now, said in (
        (Device(), by_cpu, "backend.device: cpu → cuda"),
        (on_cuda, by_cpu, "backend.codec: nvimgcodec → cpu"),
        (on_cuda, resolve("cuda", probed=lambda: working(driver="580.1")), "versions.driver: 570.86.15 → 580.1"),
    ):
        with pytest.raises(UsageError, match=said):
            continued(begun(config(before), {}), config(now), Execution(), tmp_path, shard_size_asked=False)


# --- what auto stands for --------------------------------------------------------------------------------------------


def test_auto_is_decided_once(folder, tmp_path):
    assert device_of(tmp_path / "new", probed=working).kind == "cuda"
    assert device_of(tmp_path, probed=working).kind == "cuda"  # a folder that holds no run
    assert device_of(folder, probed=never).kind == "cpu"
    assert device_of(folder, probed=never).sentence.startswith("cpu (cuda not used: ")
    assert device_of(folder, "cpu", probed=never) == Device()
    assert device_of(folder, overwrite=True, probed=working).kind == "cuda"
    assert device_of(folder, "cuda", probed=working).kind == "cuda"  # and is refused as another configuration


@pytest.mark.parametrize("codec", ["nvimgcodec", "cpu"])
def test_what_was_begun_on_cuda_goes_on_there_with_the_same_codec(folder, codec):
    begun_with(folder, {"device": "cuda", "codec": codec})
    for asked in ("auto", "cuda", "cuda:0"):
        found = device_of(folder, asked, probed=working)
        assert (found.kind, found.codec) == ("cuda", codec)
    assert device_of(folder, "auto", "cpu", probed=working).codec == "cpu"
    assert device_of(folder, "cpu", probed=never) == Device()
    assert kept_device(json.loads((folder / "run.json").read_text())["config"], folder, working).codec == codec


def test_where_cuda_does_not_work_a_run_on_it_is_refused(folder):
    begun_with(folder, ON_CUDA)
    with pytest.raises(UsageError) as caught:
        device_of(folder, probed=lambda: NO_DRIVER)
    first, second = str(caught.value).splitlines()
    assert first == f"{folder}: was begun on CUDA and stays with it; here that cannot work, there is no NVIDIA driver"
    assert second.startswith("install NVIDIA's driver")
    assert second.endswith("another DST with --device cpu works without")


def test_retry_works_where_the_run_did(folder, monkeypatch):
    begun_with(folder, ON_CUDA)
    kept = functools.partial(kept_device, probed=lambda: NO_DRIVER)
    monkeypatch.setattr(retrying, "kept_device", kept)
    before = (folder / "run.json").read_bytes()
    with pytest.raises(UsageError, match="was begun on CUDA and stays with it; here that cannot work"):
        retrying.retry(folder)
    assert (folder / "run.json").read_bytes() == before


@pytest.mark.parametrize(
    "backend",
    [None, 3, [], {}, {"device": "cuda"}, {"device": "tpu", "codec": "cpu"}, {"device": "cpu", "codec": "nvimgcodec"},
     {"device": ["cuda"], "codec": "cpu"}, {"device": "cuda", "codec": {}}],
)  # fmt: skip
def test_a_run_json_that_says_something_else_is_refused(folder, backend):
    begun_with(folder, backend)
    for asked in ("auto", "cpu"):
        with pytest.raises(UsageError, match="backend is not as"):
            device_of(folder, asked, probed=never)


def test_names_are_looked_at_before_the_folder(folder):
    begun_with(folder, None)
    with pytest.raises(UsageError, match="--device tpu: expected"):
        device_of(folder, "tpu")
    with pytest.raises(UsageError, match="--codec x: expected"):
        device_of(folder, "auto", "x")


# --- the command line ------------------------------------------------------------------------------------------------


def test_the_device_is_said_first_and_kept(voc, tmp_path):
    command = ("augment", voc, tmp_path / "out", "-r", "gentle", "-w", 0, "--device")
    assert call(*command, "cpu").stderr.splitlines()[0] == "device: cpu"
    again = call(*command, "auto")
    assert again.exit_code == 0
    assert again.stderr.splitlines()[0] == "device: cpu (cuda not used: the run in DST was begun without it)"
    assert "nothing to do" in again.stdout
