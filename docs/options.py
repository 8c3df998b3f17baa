"""Writes the page that lists every option of every config group, with the comment at the top of its file."""

from collections.abc import Iterator
from pathlib import Path

CONF = Path(__file__).resolve().parent.parent / "conf"
NOT_FOR_USERS = {"experiment": {"smoke", "search_denoise"}}
INTRODUCTION = """# Every option

`group=option` on the command line. This page is made from the files of `conf/`; [What to choose](choosing.md) says when
to use which.
"""


def about(path: Path) -> str:
    """Returns the comment at the top of an option's file as one paragraph; "" if there is none."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        if not line.startswith("# @package"):
            lines.append(line.removeprefix("#").strip())
    return " ".join(lines)


def groups() -> Iterator[tuple[str, list[Path]]]:
    """Yields each config group ("task", "task/mask") with its options' files."""
    for folder in sorted(path for path in CONF.rglob("*") if path.is_dir()):
        group = folder.relative_to(CONF).as_posix()
        found = [path for path in sorted(folder.glob("*.yaml")) if path.stem not in NOT_FOR_USERS.get(group, ())]
        if found:
            yield group, found


def page() -> str:
    """Returns the page, in Markdown."""
    parts = [INTRODUCTION]
    for group, found in groups():
        rows = [f"| `{path.stem}` | {about(path).replace('|', chr(92) + '|')} |" for path in found]
        parts.append("\n".join([f"## `{group}=`", "", "| option | what it is |", "|---|---|", *rows, ""]))
    return "\n".join(parts)
