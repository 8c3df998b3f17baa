"""In: the checkpoint of an interrupted run. Out: how many of its steps are done. No torch: only numbers are read."""

import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any


def steps_done(path: Path) -> int:
    """Returns how many steps a run's checkpoint has; 0 where there is none or it cannot be read, which the run itself
    then says."""
    try:
        with zipfile.ZipFile(path) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
            with archive.open(name) as file:
                snapshot = _Numbers(file).load()
        return int(snapshot["start"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile, pickle.UnpicklingError):
        return 0


class _Numbers(pickle.Unpickler):
    """Reads what torch.save wrote with every tensor left out: no class of the file's is looked up, so none is run."""

    def find_class(self, module: str, name: str) -> Any:
        return OrderedDict if (module, name) == ("collections", "OrderedDict") else _nothing

    def persistent_load(self, pid: Any) -> None:
        return None


def _nothing(*_: Any) -> None:
    """Stands for a tensor."""
