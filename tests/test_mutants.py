"""The mutants that `make mutants` tries: what is changed, who notices, and that the page says what the table says."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import mutants as script
from scripts.mutation.mutate import mutants
from tests.conftest import ROOT

SOURCE = '''"""A module."""

LIMIT = 10**0.5
FLAG = True


class Part:
    """A part."""

    share: float = 0.5

    def over(self, value: int | None, low: int = 2) -> bool:
        """Whether it is over."""
        assert value is not None
        if value < low or not self.share:
            raise ValueError(f"{value - 1} is too small")
        self.last = max(value, low)
        print(f"{value + 1}", end="")
        return -value % LIMIT >= 1
'''

EXPECTED = """\
LIMIT = 10**0.5: 10 ** 0.5 -> 10 * 0.5
LIMIT = 10**0.5: 10 -> 11
LIMIT = 10**0.5: 0.5 -> 0.6
FLAG = True: True -> False
share: float = 0.5: 0.5 -> 0.6
def over(self, value: int | None, low: int = 2) -> bool:: 2 -> 3
if value < low or not self.share:: value < low or not self.share -> value < low and (not self.share)
if value < low or not self.share:: value < low -> value <= low
if value < low or not self.share:: value < low -> value >= low
if value < low or not self.share:: not self.share -> self.share
raise ValueError(f"{value - 1} is too small"): without this raise
self.last = max(value, low): max(value, low) -> min(value, low)
print(f"{value + 1}", end=""): without this expr
print(f"{value + 1}", end=""): value + 1 -> value - 1
print(f"{value + 1}", end=""): 1 -> 2
return -value % LIMIT >= 1: -value % LIMIT >= 1 -> -value % LIMIT > 1
return -value % LIMIT >= 1: -value % LIMIT >= 1 -> -value % LIMIT < 1
return -value % LIMIT >= 1: -value % LIMIT -> -value * LIMIT
return -value % LIMIT >= 1: -value -> value
return -value % LIMIT >= 1: 1 -> 2
"""


def test_a_mutant_differs_in_one_place_that_it_names():
    found = mutants(SOURCE)
    assert "".join(f"{one.line}: {one.mutation}\n" for one in found) == EXPECTED
    whole = ast.dump(ast.parse(SOURCE))
    trees = {ast.dump(one.tree) for one in found}
    assert len(trees) == len(found)
    assert whole not in trees
    for one in found:
        compile(one.tree, "module", "exec")
        assert one.line == SOURCE.splitlines()[one.number - 1].strip()
    assert [one.mutation for one in found if not one.lines] == [one.mutation for one in found[:5]]  # run on import


@pytest.mark.parametrize("name", ["fit/rollback", "metrics/similarity", "seeds"])
def test_no_two_mutants_of_a_module_have_one_name(name: str):
    found = mutants((ROOT / "dip_exp" / f"{name}.py").read_text())
    assert len({(one.line, one.mutation) for one in found}) == len(found) > 10


MODULE = """def clipped(value, most=3):
    if value > most:
        return most
    return value


def unused(value):
    return value + 1


def endless(value):
    while value < 3:
        value = value + 1
    return value
"""
TESTS = """from dip_exp_toy import clipped, endless


def test_clipped():
    assert [clipped(value) for value in (2, 3, 4)] == [2, 3, 3]


def test_endless():
    assert endless(0) == 3
"""
TRIAL = """
import json
import os
from pathlib import Path
import pytest
from scripts.mutation import trial
from scripts.mutation.mutate import mutants
trial.SLACK = 1, 5
path = Path("dip_exp_toy.py").resolve()
known = trial.baseline([path], ["test_toy.py"])
outcomes = {}
for one in mutants(path.read_text()):
    outcome = trial.tried(one, "dip_exp_toy", path, known)
    outcomes[f"{one.line}: {one.mutation}"] = outcome.killer, outcome.tests
os.chdir(ROOT)
path = Path("dip_exp/seeds.py").resolve()
known = trial.baseline([path], ["tests/test_seeds.py"])
checked = trial.tried(mutants(path.read_text())[-1], "dip_exp.seeds", path, known)
print(json.dumps([outcomes, checked.killer]))
"""


@pytest.mark.long
def test_who_notices_a_mutant_are_the_tests_that_reach_it(tmp_path: Path):
    for name, text in (("dip_exp_toy.py", MODULE), ("test_toy.py", TESTS), ("pytest.ini", "[pytest]\n")):
        (tmp_path / name).write_text(text)
    path = os.pathsep.join((str(ROOT), str(tmp_path)))
    env = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", TRIAL.replace("ROOT", repr(str(ROOT)))],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    clipped, endless = "test_toy.py::test_clipped", "test_toy.py::test_endless"
    found, checked = json.loads(done.stdout)
    assert checked.startswith("tests/test_seeds.py::")  # `tests` has an import hook of its own
    forever = found.pop("value = value + 1: value + 1 -> value - 1")
    assert forever[0].startswith("ended by signal ")
    assert found == {
        "def clipped(value, most=3):: 3 -> 4": [clipped, 1],
        "if value > most:: value > most -> value >= most": ["", 1],
        "if value > most:: value > most -> value <= most": [clipped, 1],
        "return most: return most -> return None": [clipped, 1],
        "return value: return value -> return None": [clipped, 1],
        "return value + 1: value + 1 -> value - 1": ["", 0],
        "return value + 1: 1 -> 2": ["", 0],
        "while value < 3:: value < 3 -> value <= 3": [endless, 1],
        "while value < 3:: value < 3 -> value >= 3": [endless, 1],
        "while value < 3:: 3 -> 4": [endless, 1],
        "value = value + 1: 1 -> 2": [endless, 1],
        "return value: return value -> return None [2]": [endless, 1],
    }
    assert (tmp_path / "dip_exp_toy.py").read_text() == MODULE


def test_a_sample_is_even_and_the_same_each_time():
    found = mutants((ROOT / "dip_exp/seeds.py").read_text())
    assert script.sampled(found, None) == script.sampled(found, 10**6) == found
    chosen = script.sampled(found, 5)
    assert chosen == script.sampled(found, 5)
    places = [found.index(one) * 5 // len(found) for one in chosen]
    assert places == [0, 1, 2, 3, 4]


def test_modules_are_named_whole_or_by_their_folder():
    assert script.names([]) == list(script.MODULES)
    assert script.names(["fit/rollback", "seeds"]) == ["fit/rollback", "seeds"]
    assert {name.split("/")[0] for name in script.names(["stopping"])} == {"stopping"}
    with pytest.raises(SystemExit, match="error: mutants: 'stop' is no module here; there are fit/history"):
        script.names(["stop"])


def test_an_explanation_without_its_mutant_is_a_finding():
    found = mutants(SOURCE)
    known = {("toy", found[0].line, found[0].mutation): "why", ("toy", "x = 1", "1 -> 2"): "why", ("b", "", ""): "why"}
    assert list(script.stale("toy", found, known)) == [
        "explained, but there is no such mutant: dip_exp/toy.py: 'x = 1': 1 -> 2"
    ]


def test_a_row_is_a_modules_its_tests_exist_and_its_numbers_add_up():
    rows = script.table()
    assert len(rows) == len(script.TABLE.read_text().splitlines()) - 1 > 0
    for row in rows:
        parts = [int(row[name]) for name in ("killed", "explained", "survived")]
        assert sum(parts) == int(row["tried"]) <= int(row["mutants"])
    for tests in script.MODULES.values():
        assert all((ROOT / test.partition("::")[0]).is_file() for test in tests)


def test_the_page_says_what_the_table_says():
    block = script.PAGE.read_text().partition(script.BEGIN)[2].partition(script.END)[0]
    assert block.strip() == script.summary(script.table())


def test_every_explanation_is_of_a_module_and_says_why():
    for (module, line, mutation), why in script.explained().items():
        assert module in script.MODULES
        assert line
        assert mutation
        assert len(why) > 20
