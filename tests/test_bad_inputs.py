"""A wrong input costs an error message: what is wrong is named, the status is 2, and nothing is left behind."""

import re
from pathlib import Path

import pytest

from tests import warm
from tests.bad_inputs import RECORDS, TABLE, Bad


@pytest.mark.long
@pytest.mark.parametrize("row", TABLE, ids=[row.name for row in TABLE])
def test_a_wrong_input_is_refused(row: Bad, tmp_path: Path):
    row.make(tmp_path)
    before = sorted(path for path in tmp_path.rglob("*"))
    status, out, err = warm.run(*row.words.split(), "trainer=cpu", cwd=tmp_path, timeout=60)
    assert status == row.status, out + err
    assert re.search(row.said, err), err
    assert "Traceback" not in err
    assert err.count("error:") == 1
    assert sorted(path for path in tmp_path.rglob("*") if ".locks" not in path.parts) == before


def test_there_are_enough_and_no_two_of_one_name():
    assert len(TABLE) >= 100
    assert len({row.name for row in TABLE}) == len(TABLE)
    assert all(row in TABLE for row in RECORDS)
