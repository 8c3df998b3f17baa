"""The setting `out`: the restored picture, also where the user wants it, in the format that its suffix names."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dip_exp.atomic import write_bytes
from dip_exp.component import located
from dip_exp.errors import Failed, Refused
from dip_exp.images import export


@dataclass(frozen=True)
class Delivery:
    """Where a run's restored picture goes besides its folder. overwrite: whether it may replace another file."""

    path: Path
    overwrite: bool

    def check(self, done: Path, size: tuple[int, int] | None = None, *, has_alpha: bool = False) -> None:
        """Raises Refused if the file cannot be written there. Called before the first step.

        done: the run's folder: the picture of a finished run may be there already. size: of the restored picture, in
        pixels, if it is known.
        """
        if size is not None:
            try:
                export.check(self.path.suffix.lower(), size, has_alpha=has_alpha)
            except ValueError as error:
                raise Refused(f"out: {self.path}: {error}  [out=...]") from error
        if self.path.is_dir():
            raise Refused(f"out: {self.path} is a folder; name a file in it  [out={self.path}/...]")
        if not self.overwrite and self.path.exists() and not self._is_there(done):
            raise Refused(f"out: {self.path} is there already  [overwrite=true replaces it; or out=...]")
        around = next(folder for folder in self.path.absolute().parents if folder.exists())
        if not around.is_dir() or not os.access(around, os.W_OK):
            raise Refused(
                f"out: {self.path} cannot be written: {around} is no folder that may be written to  [out=...]"
            )

    def deliver(self, done: Path) -> None:
        """Writes the restored picture of the run whose folder is `done`. Raises Refused or Failed."""
        self.check(done)
        try:
            if not self._is_there(done):
                self.path.parent.mkdir(parents=True, exist_ok=True)
                write_bytes(self.path, export.exported(done, self.path.suffix.lower()))
        except (OSError, ValueError) as error:
            raise Failed(
                f"out: writing {self.path} failed ({error}); the restored picture is {done / 'restored.png'}, and the "
                f"same command writes it again"
            ) from error

    def _is_there(self, done: Path) -> bool:
        """Returns whether the file has the content that would be written."""
        try:
            return self.path.read_bytes() == export.exported(done, self.path.suffix.lower())
        except (OSError, ValueError):
            return False


def delivery(config: dict[str, Any], *, several: bool) -> Delivery | None:
    """Returns where the restored picture of a run with these plain settings goes; None without `out`.

    several: whether the run is one of a multirun's. `out` is then a folder, as it is for one run if it is a folder that
    exists or ends in a slash; the file has the name and suffix of the picture's own. Raises Refused for another suffix
    than those of `export.SUFFIXES`, and for a file that the run reads.
    """
    if config["out"] is None:
        return None
    given, image = str(config["out"]), config["image"]
    path = located(given)
    if several and path.suffix.lower() in export.SUFFIXES and not path.is_dir():
        raise Refused(f"out: given {given} for the jobs of a multirun, which are many; name a folder  [out=FOLDER]")
    if several or given.endswith(("/", os.sep)) or path.is_dir():
        path = path / _name(image)
    if path.suffix.lower() not in export.SUFFIXES:
        known = ", ".join(export.SUFFIXES)
        raise Refused(f"out: {str(path)!r} names no format; let it end in one of {known}  [out=...]")
    for source in _sources(config):
        if path.exists() and source.exists() and path.samefile(source):
            raise Refused(f"out: {path} is a file that this run reads; give another name  [out=...]")
    return Delivery(path, bool(config["overwrite"]))


def _name(image: dict[str, Any]) -> str:
    """Returns the name of a source's file, or the name of a packaged picture, as PNG."""
    if "path" not in image:
        return f"{image.get('name', 'restored')}.png"
    name = Path(image["path"])
    return name.name if name.suffix.lower() in export.SUFFIXES else f"{name.name}.png"


def _sources(node: Any) -> list[Path]:
    """Returns every file that the settings name as a `path`."""
    found: list[Path] = []
    for key, value in node.items() if isinstance(node, dict) else ():
        found += [located(value)] if key == "path" and isinstance(value, str) else _sources(value)
    return found
