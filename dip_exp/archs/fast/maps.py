"""The linear maps behind the fast convolutions, and their adjoints: borders, and the four phases of an upsampled map.

All take and return float tensors (N, C, H, W). A bfloat16 map is channels-last, as the CPU's bfloat16 units expect; any
other map has PyTorch's default layout. Every adjoint consists of additions and copies of slices, in one fixed order.
PyTorch's own backward passes of reflection padding and of bilinear upsampling raise an error or become slow under
`torch.use_deterministic_algorithms(True)` on a GPU; these do neither.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

Piece = tuple[slice, slice]
"""Two slices along one axis: the target pixels, and the pixels of the phase that go there."""

Pieces = tuple[list[Piece], list[Piece]]
"""The pieces of the even phase and those of the odd phase."""


def layout(x: Tensor) -> torch.memory_format:
    """Returns the memory format of a map with the dtype of x."""
    return torch.channels_last if x.dtype == torch.bfloat16 else torch.contiguous_format


def empty(like: Tensor, *shape: int) -> Tensor:
    """Returns an uninitialised map of this shape (N, C, H, W), with the dtype, device and layout of `like`."""
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=layout(like))


def dense(x: Tensor) -> Tensor:
    """Returns x contiguous in the layout of its dtype."""
    return x.contiguous(memory_format=layout(x))


def mirrored(x: Tensor, width: int) -> Tensor:
    """Returns x with `width` more pixels on every side, reflected about the border pixel (c b | a b c)."""
    return F.pad(x, (width, width, width, width), mode="reflect") if width > 0 else x


def mirrored_adjoint(g: Tensor, width: int) -> Tensor:
    """Returns the adjoint of `mirrored`, (H + 2 width, W + 2 width) -> (H, W); `g` is overwritten."""
    return _fold_back(g, width, about=0)


def repeated(x: Tensor, width: int) -> Tensor:
    """Returns x with `width` more pixels on every side, reflected about the border's outer edge (b a | a b c)."""
    n, c, h, w = x.shape
    out = empty(x, n, c, h + 2 * width, w + 2 * width)
    out[..., width : width + h, width : width + w] = x
    for axis, size in ((2, h), (3, w)):
        across = out if axis == 3 else out[..., width : width + w]
        for outside in range(width):
            inside = 2 * width - 1 - outside
            across.narrow(axis, outside, 1).copy_(across.narrow(axis, inside, 1))
            end = size + 2 * width - 1
            across.narrow(axis, end - outside, 1).copy_(across.narrow(axis, end - inside, 1))
    return out


def repeated_adjoint(g: Tensor, width: int) -> Tensor:
    """Returns the adjoint of `repeated`, (H + 2 width, W + 2 width) -> (H, W); `g` is overwritten."""
    return _fold_back(g, width, about=1)


def _fold_back(g: Tensor, width: int, about: int) -> Tensor:
    """Returns g without its border, after adding each border pixel to the pixel that it copies; pixel `width - k` is a
    copy of `width + k - about`. g is overwritten."""
    for axis in (2, 3):
        end = g.shape[axis] - 1
        for k in range(1, width + 1):
            outside, inside = width - k, width + k - about
            g.narrow(axis, inside, 1).add_(g.narrow(axis, outside, 1))
            g.narrow(axis, end - inside, 1).add_(g.narrow(axis, end - outside, 1))
        g = g.narrow(axis, width, end + 1 - 2 * width)
    return g


def filtered(x: Tensor, taps: tuple[float, float, float], padding: int) -> Tensor:
    """Returns each channel of x, zero-padded by `padding`, filtered with the outer product of `taps` with itself."""
    row = x.new_tensor(taps)
    kernel = torch.outer(row, row).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(x, kernel, None, 1, padding, 1, x.shape[1])


# -- the four phases of an upsampled map -------------------------------------------------------------------------------

TAPS = {0: [[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]], 1: [[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]}
"""For a row n with n[2i] = n[2i + 1] = x[i], three taps cover two pixels of x. At even positions the first tap covers
the first pixel and the other two the second; at odd positions the first two cover the first pixel."""


def phase_taps(like: Tensor) -> Tensor:
    """Returns the (9, 16) matrix from the taps of a 3x3 kernel to those of its four 2x2 kernels, even rows first."""
    rows = {parity: like.new_tensor(taps) for parity, taps in TAPS.items()}
    return torch.cat([torch.kron(rows[r], rows[c]).T for r in (0, 1) for c in (0, 1)], dim=1)


def kernels(weight: Tensor) -> Tensor:
    """Returns the four 2x2 kernels of each 3x3 kernel, (O, C, 3, 3) -> (4 O, C, 2, 2)."""
    o, c = weight.shape[:2]
    return (weight.flatten(2) @ phase_taps(weight)).view(o, c, 4, 2, 2).transpose(1, 2).reshape(4 * o, c, 2, 2)


def kernels_adjoint(g: Tensor) -> Tensor:
    """Returns the adjoint of `kernels`."""
    o, c = g.shape[0] // 4, g.shape[1]
    taps = g.view(o, 4, c, 4).transpose(1, 2).reshape(o, c, 16)
    return (taps @ phase_taps(g).T).view(o, c, 3, 3)


def nearest_pieces(count: int) -> Pieces:
    """Returns the even and the odd pieces of 2 `count` pixels, taken from `count` + 1 pixels of each phase."""
    return (
        [(slice(0, None, 2), slice(0, count))],
        [(slice(1, None, 2), slice(1, count + 1))],
    )


def bilinear_pieces(count: int) -> Pieces:
    """Returns the even and the odd pieces of 2 `count` + 2 pixels, starting at pixel -1, taken from `count` + 3 pixels
    of each phase.

    Past the border the reflection reverses a pair of pixels, so pixel -1 uses the even phase and pixel 2 `count` the
    odd one.
    """
    return (
        [(slice(0, 1), slice(0, 1)), (slice(1, 2 * count, 2), slice(1, count + 1))],
        [(slice(2, 2 * count + 1, 2), slice(2, count + 2)), (slice(2 * count + 1, None), slice(count + 2, None))],
    )


def interleaved(phases: Tensor, rows: Pieces, columns: Pieces) -> Tensor:
    """Returns the map made up of `phases` (N, 4 C, h, w), a channel's four phases adjacent; see `bilinear_pieces`."""
    n, c, _, _ = phases.shape
    out = empty(phases, n, c // 4, _length(rows), _length(columns))
    phases = phases.unflatten(1, (c // 4, 4))
    for phase, (to, of) in _all(rows, columns):
        out[(..., *to)] = phases[(slice(None), slice(None), phase, *of)]
    return out


def interleaved_adjoint(g: Tensor, rows: Pieces, columns: Pieces, size: tuple[int, int]) -> Tensor:
    """Returns the adjoint of `interleaved`; `size` is (h, w) of its `phases`."""
    n, c = g.shape[:2]
    phases = empty(g, n, 4 * c, *size).zero_()
    split = phases.unflatten(1, (c, 4))
    for phase, (to, of) in _all(rows, columns):
        split[(slice(None), slice(None), phase, *of)] = g[(..., *to)]
    return phases


def _length(pieces: Pieces) -> int:
    return sum(of.stop - of.start if of.stop else 1 for side in pieces for _, of in side)


def _all(rows: Pieces, columns: Pieces) -> Iterator[tuple[int, tuple[Piece, Piece]]]:
    for r, of_row in enumerate(rows):
        for c, of_column in enumerate(columns):
            for to_row, from_row in of_row:
                for to_column, from_column in of_column:
                    yield 2 * r + c, ((to_row, to_column), (from_row, from_column))
