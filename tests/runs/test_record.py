"""A record of any schema is read as one of today's."""

from collections.abc import Callable

import pytest

from dip_exp.runs.record import SCHEMA, result_among, upgrade

SCORES = {kind: {"psnr": 20.0} for kind in ("observation", "baseline", "last", "average", "stopped")}


@pytest.mark.parametrize(
    ("reason", "ended"), [("optim.steps: 1800 steps were asked for", False), ("emv: the variance rose", True)]
)
def test_an_older_record_says_whether_a_rule_ended_it(reason: str, ended: bool):
    old = {"stop": {"reason": reason, "step": 5}, "scores": SCORES}
    now = upgrade(old)
    assert now["stop"] == {"reason": reason, "step": 5, "told": {}, "ended": ended}
    assert now["schema"] == SCHEMA
    assert (now["rivals"], now["remarks"], now["weights"], now["diverged"]) == ({}, [], None, False)
    assert upgrade({**now, "schema": 2}) == now
    assert upgrade(now) is now
    assert "schema" not in old


@pytest.mark.parametrize(
    ("more", "result"),
    [
        ({}, "stopped"),
        ({"pasted": {}}, "pasted"),
        ({"peak": {}, "peak_average": {}, "stopped_emv": {}, "posterior": {}}, "stopped"),
        ({"pasted": {}, "enhanced": {}, "baseline_tv": {}}, "enhanced"),
    ],
)
@pytest.mark.parametrize("order", [list, sorted, lambda names: sorted(names, reverse=True)])
def test_an_older_records_result_is_what_was_made_last(
    more: dict, result: str, order: Callable[[list[str]], list[str]]
):
    """Whatever the order: tables sort their kinds by name."""
    assert result_among(order([*SCORES, *more])) == result
    assert upgrade({"stop": {"reason": "", "step": 1}, "scores": {**SCORES, **more}})["result"] == result
    assert upgrade({"stop": {"reason": "", "step": 1}, "scores": SCORES, "result": "mine"})["result"] == "mine"


def test_a_mean_of_today_that_lacks_fields_has_them():
    mean = {"schema": SCHEMA, "stop": {"reason": "", "told": {}, "ended": None}, "scores": {"mean": {"psnr": 20.0}}}
    now = upgrade(mean)
    assert (now["result"], now["remarks"]) == ("mean", [])
    assert upgrade(now) is now
