"""The configuration of a run: composed, checked and identified. The science does not import this package: no network,
task or stop rule depends on it. No torch."""

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
from dip_exp.config.layers import is_group, layered
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
    "is_group",
    "layered",
    "plain",
    "plain_dict",
    "register",
    "run_id",
]
