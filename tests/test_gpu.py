"""What only a CUDA device can show: a fit runs there to its end, is interrupted and resumed, and equals the CPU's."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from dip_exp import optims
from dip_exp.errors import Interrupted
from dip_exp.trainers import Trainer
from tests.test_fit import At, make

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.mark.parametrize("over", ["net", "both", "input"])
def test_a_fit_on_the_gpu_ends_and_is_near_the_cpus(over: str):
    optim = optims.Adam(steps=5, over=over)  # type: ignore[arg-type]
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
