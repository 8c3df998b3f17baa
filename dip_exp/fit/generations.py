"""The file that an interrupted run goes on from: two generations, each with the checksum of its content. No torch."""

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

from dip_exp.atomic import flush_folder, writing_whole
from dip_exp.errors import Damaged

MARK = b"dip_exp checkpoint, sha256 "
"""How a file begins; the checksum of the rest and a line end follow. Files from before this are plain zip archives."""

_HEAD = len(MARK) + 64 + 1


@dataclass(frozen=True)
class Generations:
    """The checkpoint `path`, and the one before it, which is used if the newest is damaged."""

    path: Path

    @property
    def before(self) -> Path:
        """The file of the generation before."""
        return self.path.with_name(f"{self.path.stem}.before{self.path.suffix}")

    @property
    def to_begin_again(self) -> str:
        """What to do to begin without them, in words: with the newest gone alone, the one before would be used."""
        return f"delete {self.path} and {self.before.name} to begin again"

    def exist(self) -> bool:
        """Returns whether there is anything to go on from."""
        return self.path.is_file() or self.before.is_file()

    def write(self, content: bytes | memoryview) -> None:
        """Writes a new generation. Killed at any moment, it leaves one that is whole. Raises OSError."""
        with writing_whole(self.path, instead=self._age) as file:
            file.write(MARK + hashlib.sha256(content).hexdigest().encode() + b"\n")
            file.write(content)

    def _age(self) -> None:
        try:
            content_of(self.path)  # a damaged one must not take the place of the one that is whole
        except (Damaged, OSError):
            return
        self.path.replace(self.before)

    def newest(self) -> tuple[bytes, Path]:
        """Returns the content of the newest generation that is whole, and its file.

        Raises FileNotFoundError if there is none at all, OSError if they cannot be read, and Damaged, which says why,
        if none is whole.
        """
        reasons = []
        for path in (self.path, self.before):
            if path.is_file():
                try:
                    return content_of(path), path
                except Damaged as error:
                    reasons.append(f"{path}: {error}")
        if not reasons:
            raise FileNotFoundError(self.path)
        raise Damaged("; ".join(reasons))

    def keep_as(self, path: Path) -> None:
        """Renames the newest generation that is whole. Does nothing if there is none. Raises OSError."""
        try:
            self.newest()[1].replace(path)
            flush_folder(path.parent)
        except (Damaged, FileNotFoundError):
            return

    def drop(self) -> None:
        """Deletes both. Raises OSError."""
        for path in (self.before, self.path):
            path.unlink(missing_ok=True)


def content_of(path: Path) -> bytes:
    """Returns what was written into a checkpoint. Raises Damaged if it is not that, OSError if it cannot be read."""
    whole = path.read_bytes()
    if whole.startswith(MARK):
        content = whole[_HEAD:]
        if hashlib.sha256(content).hexdigest().encode() + b"\n" != whole[len(MARK) : _HEAD]:
            raise Damaged("its checksum is not that of its content")
        return content
    try:
        with zipfile.ZipFile(io.BytesIO(whole)) as archive:
            wrong = archive.testzip()
    except Exception as error:  # a damaged archive can raise nearly anything
        raise Damaged(f"it is no checkpoint ({error})") from error
    if wrong is not None:
        raise Damaged(f"the checksum of {wrong} is not that of its content")
    return whole
