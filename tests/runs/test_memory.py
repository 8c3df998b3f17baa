"""What does not fit into memory is refused before anything large is made, with commands that do fit."""

import re
import resource
import shlex
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from dip_exp import api, config, images
from dip_exp.config.commandline import prepare
from dip_exp.cost import estimate
from dip_exp.errors import Refused
from dip_exp.runs import memory
from dip_exp.runs import run as module
from dip_exp.runs.folder import RunFolder
from dip_exp.runs.order import Order, identify, place
from dip_exp.runs.price import expected
from dip_exp.runs.report import duration
from tests.conftest import Runner

CPU = torch.device("cpu")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return images.write(tmp_path / "own.png", np.full((1, 3, 300, 421), 0.5, np.float32))


def order_of(words: list[str], results: Path) -> Order:
    cfg = config.compose(prepare(words))
    choices = {"arch": next((word[5:] for word in words if word.startswith("arch=")), "skip"), "task": "?"}
    named = identify(cfg, choices)
    return place(cfg, named, RunFolder(results, named.run_id), ["python", "run.py", *words])


def refusal(words: list[str], results: Path) -> str:
    order = order_of(words, results)
    with pytest.raises(Refused) as caught:
        memory.check(order, module.build(order.config, "trainer", {}))
    return str(caught.value)


def commands(text: str) -> list[list[str]]:
    return [shlex.split(line, comments=True)[2:] for line in text.splitlines() if line.startswith("  python")]


@pytest.mark.long
@pytest.mark.parametrize("task", ["superres", "denoise"])
@pytest.mark.parametrize("more", [(), ("image.box=[5,9,300,280]",), ("image.shrink_to=290",)])
def test_every_command_that_is_named_fits(task: str, more: tuple[str, ...], path: Path, tmp_path: Path):
    words = [f"task={task}", f"image.path={path}", "memory_limit=900MB", "trainer=cpu", *more]
    text = refusal(words, tmp_path)
    assert re.search(r"memory: .* needs about [\d.,]+ GB for \d+x\d+, and \d\.\d GB can be had here; these fit:", text)
    named = commands(text)
    keys = [key for command in named for key in command if key.startswith(("image.shrink_to=", "image.box="))]
    assert keys
    assert any("tiles=auto" in command for command in named) == ("image.shrink_to=290" not in more)
    for command in named:
        if "tiles=auto" in command:  # its runs are those of the tiles: tests/runs/test_tiles.py
            continue
        order = order_of(command, tmp_path)
        memory.check(order, module.build(order.config, "trainer", {}))
    (side,) = {int(key.split("=")[1]) for key in keys if key.startswith("image.shrink_to=") and key not in more}
    larger = [word for word in words if not word.startswith("image.shrink_to")] + [f"image.shrink_to={side + 32}"]
    assert side % 32 == 0
    assert refusal(larger, tmp_path)
    (least,) = re.findall(r"memory_limit=[\d.]+GB(?= begins)", text)
    order = order_of([*words, least], tmp_path)
    memory.check(order, module.build(order.config, "trainer", {}))


def test_a_start_that_may_need_more_memory_than_there_is_is_refused_before_it_is_made(tmp_path: Path):
    holes = np.random.default_rng(0).random((500, 500, 3), np.float32)
    holes[:, ::2] = np.nan
    np.save(tmp_path / "holes.npy", holes)
    words = ["task=inpaint", f"image.path={tmp_path / 'holes.npy'}", "preset=quick", "trainer=cpu", "arch=skip_tiny"]
    order = order_of([*words, "memory_limit=900MB"], tmp_path)
    memory.check(order, module.build(order.config, "trainer", {}))  # the network alone would fit
    text = r"memory: biharmonic, whose picture is z, may need 1\.0 GB, and 0\.9 GB can be had here\n.*tiles=auto"
    with pytest.raises(Refused, match=text) as caught:
        module.prepare(order)
    (least,) = re.findall(r"memory_limit=[\d.]+GB(?= begins)", str(caught.value))
    module.prepare(order_of([*words, least], tmp_path))


def test_the_time_of_a_smaller_picture_is_its_own_also_beside_a_mask(path: Path, tmp_path: Path):
    known = np.ones((1, 1, 300, 421), np.float32)
    known[..., 20:60, 30:90] = 0
    mask = images.write(tmp_path / "mask.png", known)
    words = ["task=inpaint", f"image.path={path}", f"task.mask.path={mask}", "memory_limit=900MB", "trainer=cpu"]
    (line,) = [line for line in refusal(words, tmp_path).splitlines() if "image.shrink_to=" in line]
    command, _, told = line.partition("  # ")
    smaller = order_of(shlex.split(command)[2:], tmp_path)
    ahead = expected(smaller.config, {}, smaller.picture.x.shape[1:])
    assert told == f"{'at most' if ahead.sooner else 'about'} {duration(ahead.seconds)}"


def test_a_narrower_network_and_the_smaller_scale_are_named_if_they_fit(path: Path, tmp_path: Path):
    words = [f"image.path={path}", "trainer=cpu"]
    arch, channels = network(order_of([*words, "arch=skip_narrow"], tmp_path))
    want = estimate.by_shape(arch, channels, (3, 300, 421), CPU)
    text = refusal([*words, f"memory_limit={want + 1e6:.0f}"], tmp_path)
    assert any("arch=skip_narrow" in command for command in commands(text))
    assert any("scale=mini" in command for command in commands(text))
    text = refusal([*words, f"memory_limit={want - 1e6:.0f}"], tmp_path)
    assert not any("arch=skip_narrow" in command for command in commands(text))


def network(order: Order) -> tuple:
    return module.build(order.config, "arch", {}), module.build(order.config, "input", {}).channels


def test_a_mask_is_reduced_with_its_picture_and_may_have_no_hole_in_a_box(path: Path, tmp_path: Path):
    mask = images.write(tmp_path / "mask.png", np.ones((1, 1, 300, 421), np.float32))
    words = ["task=inpaint", f"image.path={path}", f"task.mask.path={mask}", "memory_limit=900MB", "trainer=cpu"]
    text = refusal(words, tmp_path)
    assert "image.shrink_to=" in text
    assert "image.box=" not in text


def test_nothing_is_left_behind_and_what_fits_is_not_spoken_of(
    run: Runner, path: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    words = ("task=superres", "image=file", f"image.path={path}", "image.shrink_to=32")
    with pytest.raises(Refused, match="memory: superres of own with skip_tiny needs about"):
        run(*words, "arch=skip_tiny", "memory_limit=100MB")
    assert not (tmp_path / "results").exists()
    run(*words, "memory_limit=2GB")
    assert "memory" not in capsys.readouterr().out
    with pytest.raises(Refused, match="memory_limit: given 'much'"):
        run(*words, "seed=1", "memory_limit=much")


def test_nothing_is_drawn_before_the_check(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Runner):
    from dip_exp.fit import draw
    from dip_exp.tasks.superres import SuperResolution

    def never(*_: object, **__: object) -> None:
        raise AssertionError("made before the check")

    monkeypatch.setattr(draw, "draw", never)
    monkeypatch.setattr(SuperResolution, "problem", never)
    with pytest.raises(Refused, match="memory: "):
        run("task=superres", "image=file", f"image.path={path}", "memory_limit=100MB")


def test_a_photograph_is_judged_at_once_and_without_its_size_in_memory():
    cfg = config.plain(config.compose(["task=superres", "image=file", "image.path=x.jpg"]))
    needed = memory._needed(cfg, {}, "observed", CPU)
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.thread_time()
    shape, want = needed((3, 3000, 4000))
    assert time.thread_time() - began < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1e6  # KiB
    assert shape == (3, 12000, 16000)
    assert want is not None
    assert 5000 < want / (12000 * 16000) < 7000  # 5.9 kB a pixel at 1024 pixels


def test_the_estimate_of_a_large_map_is_that_of_its_shapes():
    arch, channels = network_of("arch.down=[8,8,8]", "arch.up=[8,8,8]", "arch.skip=[4,4,4]")
    z = torch.empty((1, channels, 672, 800), device="meta")
    from dip_exp.archs import fast
    from dip_exp.fit.draw import shapes_only

    net = fast.twin(shapes_only(arch, channels, (3, 672, 800)).train())
    assert estimate._kept_by_twin(arch, net, z) == pytest.approx(estimate.kept_bytes(net, z), rel=0.01)


def network_of(*words: str) -> tuple:
    cfg = config.plain(config.compose(words))
    return module.build(cfg, "arch", {}), module.build(cfg, "input", {}).channels


@pytest.mark.parametrize("task", ["superres", "denoise", "inpaint", "flash", "jpeg", "enhance"])
@pytest.mark.parametrize("role", ["clean", "observed"])
def test_the_result_s_shape_is_the_problem_s(task: str, role: str):
    built = module.build(config.plain(config.compose([f"task={task}"])), "task", {})
    try:
        posed = built.outline((3, 67, 70), role)
    except ValueError:
        return  # no picture of that role
    assert built.result_shape((3, 67, 70), role) == posed.shape


def restored(**more: object) -> Callable[[], object]:
    return lambda: api.restore(np.full((300, 420, 3), 0.5, np.float32), "denoise", **more)  # type: ignore[arg-type]


def test_the_function_refuses_too():
    text = r"memory: a restored picture of 420x300 needs about [\d.]+ GB, and 0\.9 GB .*; \d+x\d+ fits"
    with pytest.raises(Refused, match=text):
        restored(overrides="memory_limit=900MB", accelerator="cpu")()
