"""What only a CUDA device can show: a fit runs there to its end, is interrupted and resumed, and equals the CPU's."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from dip_exp.archs.fast import twin
from dip_exp.archs.skip import Skip
from dip_exp.errors import Interrupted
from dip_exp.fit.trainer import Trainer
from dip_exp.optims.adam import Adam
from tests.fit.test_module import At, make

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.mark.parametrize("over", ["net", "both", "input"])
def test_a_fit_on_the_gpu_ends_and_is_near_the_cpus(over: str):
    optim = Adam(steps=5, over=over)  # type: ignore[arg-type]
    here, there = (
        Trainer(accelerator=where, progress="off").run(make(optim=optim, perturb_std=0.0))  # type: ignore[arg-type]
        for where in ("cpu", "gpu")
    )
    assert there.device != "cpu"
    assert np.abs(here.pictures["last"] - there.pictures["last"]).max() < 1e-2


def test_interrupted_on_the_gpu_and_resumed(tmp_path: Path):
    trainer, checkpoint = Trainer(accelerator="gpu", progress="off"), tmp_path / "checkpoint.pt"
    with pytest.raises(Interrupted):
        trainer.run(make(), callbacks=[At(4, lambda _: os.kill(os.getpid(), signal.SIGINT))], checkpoint=checkpoint)
    assert trainer.run(make(), checkpoint=checkpoint).steps == 12


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16", "fp64"])
def test_every_precision_runs_on_the_gpu(precision: str):
    fitted = Trainer(accelerator="gpu", progress="off").run(make(), precision=precision)
    assert np.isfinite(fitted.pictures["average"]).all()


def test_the_fast_network_is_the_plain_one_on_the_gpu():
    torch.manual_seed(0)
    net = Skip(down=[16] * 3, up=[16] * 3, skip=[4] * 3).build(8, 3, (128, 128)).double().cuda()
    z = torch.rand(1, 8, 128, 128, dtype=torch.float64, device="cuda")
    ours, theirs = (torch.autograd.grad(each(z).square().sum(), list(net.parameters())) for each in (twin(net), net))
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(
            mine, other, rtol=0, atol=1e-10 * float(torch.stack([g.abs().max() for g in theirs]).max())
        )


def test_a_deterministic_step_of_the_fast_network_on_the_gpu():
    net = Skip(down=[16] * 3, up=[16] * 3, skip=[4] * 3).build(8, 3, (256, 256)).cuda()
    z = torch.rand(1, 8, 256, 256, device="cuda")
    torch.use_deterministic_algorithms(True)
    try:
        first, second = (torch.autograd.grad(twin(net)(z).square().sum(), list(net.parameters())) for _ in range(2))
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
