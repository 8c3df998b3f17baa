"""The output kinds of a run that need care: oracles, and maps that are not pictures."""

ORACLES = ("peak", "peak_average")
"""Output kinds chosen with the truth: never a result, always labelled."""

MAPS = ("posterior_std", "std")
"""Output kinds that are no estimate of the picture: never scored as one."""
