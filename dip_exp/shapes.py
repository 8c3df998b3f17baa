"""Types of arrays and tensors that say their shape, as in `Float32[np.ndarray, "1 C H W"]`.

The letters are the field's: C channels, H height, W width of a picture; c, h, w those of an observation or a feature
map; "..." any number of axes; 1 an axis of length 1. One letter has one value within a signature.

They are jaxtyping's types for a type checker, and for a process that has imported jaxtyping before this package, as
the tests do, which check every call against them. Otherwise `Float32[np.ndarray, "1 C H W"]` is `np.ndarray` alone: a
run neither needs jaxtyping nor pays for it.
"""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or "jaxtyping" in sys.modules:
    from jaxtyping import Bool, Float, Float32, Float64, Int, Num, Shaped
else:

    class _Unshaped:
        """Stands for one of jaxtyping's types where nothing is checked."""

        def __class_getitem__(cls, of: tuple[Any, str]) -> Any:
            return of[0]

    Bool = Float = Float32 = Float64 = Int = Num = Shaped = _Unshaped

__all__ = ["Bool", "Float", "Float32", "Float64", "Int", "Num", "Shaped"]
