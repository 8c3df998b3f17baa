"""What was asked for: a configuration composed, checked, identified. It stands above the science: no network, task or
stop rule can import it. No torch."""

from dip_exp.config.compose import UNCOMPOSABLE, compose, plain, plain_dict
from dip_exp.config.identity import (
    FIRST_NAMES,
    NEUTRAL,
    NUMERICS,
    SCIENTIFIC,
    SPENT,
    class_name,
    files,
    identity,
    run_id,
)
from dip_exp.config.schema import About, Config, Number, Place, Precision, Rivals, register

__all__ = [
    "FIRST_NAMES",
    "NEUTRAL",
    "NUMERICS",
    "SCIENTIFIC",
    "SPENT",
    "UNCOMPOSABLE",
    "About",
    "Config",
    "Number",
    "Place",
    "Precision",
    "Rivals",
    "class_name",
    "compose",
    "files",
    "identity",
    "plain",
    "plain_dict",
    "register",
    "run_id",
]
