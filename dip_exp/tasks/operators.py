"""Forward operators A, which map x_hat to the space of the observation y, and tests for custom operators.

An operator is a torch module without parameters: `A(x_hat)` is compared with y. `adjoint_gap` and `linearity_gap`
test any callable that maps tensors to tensors.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

from dip_exp.shapes import Float, Float32, Float64

Kernel = Literal["lanczos2", "lanczos3", "box"]
_LOBES = {"lanczos2": 2, "lanczos3": 3}


def reduction_kernel(factor: int, kernel: Kernel) -> Float64[torch.Tensor, " taps"]:
    """Returns the 1-D kernel that reduces by `factor`: float64, sum 1, symmetric.

    The taps are the values of a Lanczos window with a lobes, sinc(t) sinc(t/a) for |t| < a with sinc(t) =
    sin(pi t)/(pi t), at the pixels' distances t (in output pixels) from the centre of a block of `factor` pixels. For
    an even factor the centre lies between two pixels (the authors' "phase 0.5"; 2*a*factor taps, which is 4 times the
    factor for Lanczos2); for an odd factor it lies on a pixel (2*a*factor - 1 taps). "box" is the mean of the block.
    Source: authors' released code, models/downsampler.py.

    Raises:
        ValueError: factor is below 2 or `kernel` is unknown.
    """
    if not isinstance(factor, int) or factor < 2:
        raise ValueError(f"downsample: factor is {factor!r}; must be a whole number from 2; choose another factor")
    if kernel == "box":
        return torch.full((factor,), 1 / factor, dtype=torch.float64)
    if kernel not in _LOBES:
        allowed = ", ".join([*_LOBES, "box"])
        raise ValueError(f"downsample: kernel is {kernel!r}; must be one of {allowed}")
    lobes = _LOBES[kernel]
    taps = 2 * lobes * factor - factor % 2
    t = (torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2) / factor
    weights = torch.sinc(t) * torch.sinc(t / lobes)
    return weights / weights.sum()


class Downsample(nn.Module):
    """Reduces both sides by an integer factor: d in the paper's super-resolution, E(x; x0) = ||d(x) - x0||^2.

    Maps (N,C,H,W) with any C to (N,C,H/factor,W/factor), each channel separately; output pixel k is centred on its
    block, at input position factor*k + (factor-1)/2. The border is padded by replication. Computed as a column and a
    row pass, because the authors' two-dimensional kernel (models/downsampler.py, there "Lanczos2, phase 0.5") is
    separable. The kernel is cast to the picture's dtype.
    """

    weights: Float32[torch.Tensor, " taps"]

    def __init__(self, factor: int, kernel: Kernel = "lanczos2") -> None:
        super().__init__()
        # float32, because not every accelerator supports float64
        self.register_buffer("weights", reduction_kernel(factor, kernel).float(), persistent=False)
        self.factor = factor
        self.kernel = kernel
        self.margin = (len(self.weights) - factor) // 2

    def forward(self, x_hat: Float[torch.Tensor, "N C H W"]) -> Float[torch.Tensor, "N C h w"]:
        """Returns A(x_hat). Raises ValueError if x_hat is not (N,C,H,W) or a side is not a multiple of the factor."""
        if x_hat.ndim != 4:
            raise ValueError(
                f"downsample: x_hat has shape {tuple(x_hat.shape)}; must be (N,C,H,W); add the missing axes"
            )
        height, width = x_hat.shape[-2:]
        f, m = self.factor, self.margin
        if height % f or width % f:
            raise ValueError(
                f"downsample: x_hat is {width}x{height} (width x height), no multiple of factor {f}; "
                "crop the picture to a multiple or choose another factor"
            )
        channels = x_hat.shape[1]
        taps = self.weights.to(x_hat.dtype)
        column = taps.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
        row = taps.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
        x_hat = F.pad(x_hat, (m, m, m, m), mode="replicate")
        return F.conv2d(F.conv2d(x_hat, column, stride=(f, 1), groups=channels), row, stride=(1, f), groups=channels)

    def extra_repr(self) -> str:
        return f"factor={self.factor}, kernel={self.kernel}"


Operator = Callable[[torch.Tensor], torch.Tensor]


def adjoint_gap(
    A: Operator,
    x_shape: tuple[int, ...],
    y_shape: tuple[int, ...],
    generator: torch.Generator,
    dtype: torch.dtype = torch.float32,
) -> float:
    """Returns |<A x, y> - <x, A^T y>| / (|A x| |y|) for random normal x and y, with autograd's gradient as A^T.

    At most about 1e-6 in float32 for a linear A with a correct gradient. Larger if A is not linear or a hand-written
    gradient is wrong: then the gap shrinks only as 1 / sqrt(number of values), so test small shapes. x and y are drawn
    on the generator's device.

    Raises:
        ValueError: A(x) has another shape than `y_shape`, has no gradient with respect to x, or is 0.
    """
    x = torch.randn(x_shape, generator=generator, device=generator.device, dtype=dtype).requires_grad_()
    y = torch.randn(y_shape, generator=generator, device=generator.device, dtype=dtype)
    Ax = A(x)
    if Ax.shape != y.shape:
        raise ValueError(
            f"adjoint_gap: A maps {tuple(x_shape)} to {tuple(Ax.shape)} but y_shape is {tuple(y_shape)}; both must "
            "be the same; give A's own output shape"
        )
    if not Ax.requires_grad:
        raise ValueError("adjoint_gap: A(x) has no gradient; use torch operations on x; remove .detach() or no_grad")
    (ATy,) = torch.autograd.grad(Ax, x, y.to(Ax.dtype))
    scale = _norm(Ax) * _norm(y)
    if scale == 0:
        raise ValueError(
            "adjoint_gap: A(x) is 0 for a random x, so the gap is undefined; test an operator that is not 0"
        )
    return abs(_inner(Ax, y) - _inner(x, ATy)) / scale


def linearity_gap(
    A: Operator,
    x_shape: tuple[int, ...],
    generator: torch.Generator,
    dtype: torch.dtype = torch.float32,
) -> float:
    """Returns |A(a u + b v) - a A(u) - b A(v)| / (|a A(u)| + |b A(v)|) for random normal u, v and a = 1.5, b = -0.7.

    At most about 1e-6 in float32 for a linear A, much larger otherwise. 0 for A = 0, which is linear.
    """
    a, b = 1.5, -0.7  # a + b is not 1, so that a constant offset in A is detected too
    u, v = (torch.randn(x_shape, generator=generator, device=generator.device, dtype=dtype) for _ in range(2))
    with torch.no_grad():
        Au, Av = a * A(u), b * A(v)
        gap = _norm(A(a * u + b * v) - Au - Av)
        scale = _norm(Au) + _norm(Av)
    if scale == 0:
        return 0.0 if gap == 0 else math.inf
    return gap / scale


def _inner(u: Float[torch.Tensor, "*axes"], v: Float[torch.Tensor, "*axes"]) -> float:
    # Summed in float64, so that the gap measures the operator's rounding and not that of the sum.
    return float((u.detach().double() * v.detach().double()).sum())


def _norm(u: Float[torch.Tensor, "*axes"]) -> float:
    return math.sqrt(_inner(u, u))
