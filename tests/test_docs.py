"""README and docs: short, with links that lead somewhere, commands that exist, and examples that run."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, module_at

LINKS = module_at(ROOT / "docs/links.py")
OPTIONS = module_at(ROOT / "docs/options.py")
PAGES: list[Path] = LINKS.PAGES
SETS = ("set5/", "set14/", "authors/", "denoising9", "inpainting11", "weights/")
"""How the names of downloadable pictures begin: options that no file of conf/ holds."""


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def commands(page: Path) -> list[list[str]]:
    """Returns the commands of a page, in fenced blocks and in the text, as words without the leading environment."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    lines += re.findall(
        r"`((?:make|python) [^`\n]*)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    )
    parts = [part for line in lines for part in re.split(r"&&|;|&(?= |$)", line)]
    found = [shlex.split(part, comments=True) for part in parts]
    return [
        words[next(i for i, word in enumerate([*words, ""]) if not re.match(r"[A-Z_]+=", word)) :] for words in found
    ]


def option_exists(word: str) -> bool:
    """Tells whether `group=option` names a file of conf/, or sets a key that is no group."""
    key, _, value = word.partition("=")
    folder = ROOT / "conf" / key
    if not folder.is_dir() or "<" in value:
        return True
    names = [name for name in value.split(",") if not name.startswith(SETS)]
    return all((folder / f"{name}.yaml").is_file() for name in names)


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path):
    assert LINKS.broken(page) == []


def test_a_broken_link_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(LINKS, "ROOT", tmp_path)
    (tmp_path / "b.md").write_text("# One, two\n\n```sh\n# no heading\n```\n")
    page = tmp_path / "a.md"
    page.write_text(
        "[a](b.md#one-two) [b](b.md#no-heading) [c](c.md) [d](https://x.y) `[e](e.md)` [f](#here)\n## Here\n"
    )
    assert LINKS.broken(page) == ["b.md#no-heading", "c.md"]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_exist(page: Path):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    made = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    settings = set(re.findall(r"^([A-Z_]+) +[?:]?=", makefile, flags=re.MULTILINE)) | {"FIG", "ARGS", "HOURS"}
    for words in commands(page):
        if words[:1] == ["make"]:
            for word in words[1:]:
                name, _, value = word.partition("=")
                assert (name in settings) if "=" in word else (name in made), words
                if name == "FIG":
                    assert value in ("all", "paper") or option_exists(f"experiment={value}"), words
        elif words[:1] == ["python"] and words[1].endswith(".py"):
            assert (ROOT / words[1]).is_file(), words
            for word in words[2:]:
                assert option_exists(word), (words, word)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_options_named_in_the_text_exist(page: Path):
    """`group=option`, `group=a|b` in code spans."""
    for word in re.findall(r"`([a-z_/]+=[a-z][\w/|]*)`", page.read_text(encoding="utf-8")):
        key, _, value = word.partition("=")
        assert all(option_exists(f"{key}={one}") for one in value.split("|")), word


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_files_named_in_the_text_exist(page: Path):
    """Paths in code spans; the folder where the name is a placeholder."""
    for path in re.findall(r"`((?:dip_exp|conf|scripts|tests|examples)/[^`\s]*)`", page.read_text(encoding="utf-8")):
        there = ROOT / (path.partition("<")[0].rpartition("/")[0] if "<" in path else path)
        assert there.exists(), path


@pytest.mark.parametrize(
    ("group", "paths"), list(OPTIONS.groups()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_option_says_what_it_is(group: str, paths: list[Path]):
    """The page that lists the options is made of these comments."""
    for path in paths:
        assert len(OPTIONS.about(path).split()) >= 2, f"{path}: begin it with a comment that says what it is"
        assert f"\n| `{path.stem}` | {OPTIONS.about(path)[:20]}" in OPTIONS.page()
    assert f"\n## `{group}=`\n" in OPTIONS.page()


SCRIPTS = sorted((ROOT / "examples").glob("*.py"))
WORDS = {"compare_archs": ["archs=skip_tiny,pixels", "side=32"], "demo": ["arch=skip_tiny", "image.shrink_to=32"]}
RUN_ALL = """
import json, runpy, sys

for script, words in json.loads(sys.argv[1]):
    print("==", script, flush=True)
    sys.argv = [script, *words]
    runpy.run_path(script, run_name="__main__")
"""


@pytest.mark.long
def test_the_examples_run(tmp_path: Path):
    """All in one process, for three steps on a picture of 32 pixels: what they share is imported once."""
    places = {"demo": [f"results={tmp_path / 'results'}"]}
    jobs = [
        (str(script), ["steps=3", *WORDS.get(script.stem, ["side=32", "arch=skip_tiny"]), *places.get(script.stem, [])])
        for script in SCRIPTS
    ]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", RUN_ALL, json.dumps(jobs)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"restored.png", "results"}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_an_example_is_short_and_listed(script: Path):
    assert len(script.read_text(encoding="utf-8").splitlines()) <= 40
    assert f"({script.name})" in (ROOT / "examples/README.md").read_text(encoding="utf-8")
