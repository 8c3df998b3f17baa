"""Checks the links of Markdown pages: relative ones must point to existing files, and their anchors to headings."""

import re
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "examples/README.md"]
PAGES += sorted((ROOT / "docs").glob("*.md"))
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def targets(page: Path) -> list[str]:
    """Returns the targets of a page's links and pictures, as they are written; code is left out."""
    return LINK.findall(CODE.sub("", page.read_text(encoding="utf-8")))


def anchors(page: Path) -> set[str]:
    """Returns the anchors of a page's headings, as GitHub and the site name them."""
    text = re.sub(r"^(```|~~~).*?^\1", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#{1,6} +(.+?) *$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(page: Path) -> list[str]:
    """Returns the relative links of a page that lead nowhere."""
    wrong = []
    for target in targets(page):
        path, _, anchor = unquote(target).partition("#")
        if re.match(r"[a-z]+:", target):  # another site: not checked, for that needs a network
            continue
        there = (page.parent / path).resolve() if path else page
        lost = not there.exists() or ROOT not in (there, *there.parents)
        if lost or (anchor and there.suffix == ".md" and anchor not in anchors(there)):
            wrong.append(target)
    return wrong
