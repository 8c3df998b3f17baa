"""Hooks of mkdocs: pages outside docs/ join the site, and links to repository files lead to copies of them."""

import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))
import options
from links import LINK, PAGES, ROOT, broken, targets

OUTSIDE = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "examples/README.md", "results/reference/README.md"]
OUTSIDE += ["results/figures/mini/README.md", "results/figures/paper/README.md"]
"""Pages that are not in docs/ and are shown on the site."""

SOURCES = {"readme.md" if name == "README.md" else name: ROOT / name for name in OUTSIDE}
"""The same by their place on the site, where a README at the top would take the place of the first page."""


def placed(there: Path) -> str:
    """Returns where a file of the repository is on the site: docs/ is the top, other folders lie beside its pages."""
    name = there.relative_to(ROOT).as_posix()
    return "readme.md" if name == "README.md" else name.removeprefix("docs/")


def on_pre_build(config: Any) -> None:
    """Fails the build for a broken link, of any page."""
    wrong = [f"{page.relative_to(ROOT)}: {target}" for page in PAGES for target in broken(page)]
    if wrong:
        raise PluginError("broken links:\n  " + "\n  ".join(wrong))


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages outside docs/, the list of options, and every file of the repository that a page links to."""
    for place, source in SOURCES.items():
        files.append(File.generated(config, place, abs_src_path=str(source)))
    files.append(File.generated(config, "options.md", content=options.page()))
    for page in {*PAGES, *SOURCES.values()}:
        for target in targets(page):
            there = (page.parent / target.partition("#")[0]).resolve()
            if there.is_file() and ROOT in there.parents and files.get_file_from_path(placed(there)) is None:
                files.append(File.generated(config, placed(there), abs_src_path=str(there)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Rewrites the links between files of the repository as links between their places on the site."""
    here = page.file.src_uri
    source = SOURCES.get(here, ROOT / "docs" / here)

    def rewritten(match: re.Match[str]) -> str:
        path, hash_sign, anchor = match[1].partition("#")
        there = (source.parent / path).resolve()
        if not path or re.match(r"[a-z]+:", match[1]) or not there.is_file():
            return match[0]
        relative = posixpath.relpath(placed(there), posixpath.dirname(here) or ".")
        return match[0].replace(f"({match[1]})", f"({relative}{hash_sign}{anchor})")

    return LINK.sub(rewritten, markdown)
