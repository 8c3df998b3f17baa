"""File names reach the configuration as they are; folders and globs become one job a picture."""

import re
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st

from dip_exp import config
from dip_exp.config import commandline, resolvers
from dip_exp.errors import Refused

AWKWARD = [
    "a b.png",
    "a,b.png",
    "[a]{b}.png",
    "it's.png",
    'say "x".png',
    "a=b.png",
    "é.png",
    "25",
    "null",
    "true",
    "1e3",
    "${oc.env:HOME}.png",
    "back\\slash.png",
    "trailing\\",
    "new\nline.png",
    "tab\t.png",
    "~draft.png",
    "#hash.png",
    ":colon:.png",
    " lead and trail ",
    "-m",
    "a'b\\'c.png",
]


def through_hydra(word: str) -> str:
    cfg = config.compose(["image=file", word])
    return config.plain(cfg)["image"]["path"]


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_names_survive(name: str):
    (_, word) = commandline.prepare([f"image.path={name}"])
    assert through_hydra(word) == name


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=30))
def test_any_name_survives_hydras_grammar(name: str):
    value = commandline.quoted(name)
    override = OverridesParser.create().parse_override(f"image.path={value}")
    assert not override.is_sweep_override()
    parsed = override.value()
    if isinstance(parsed, str) and (found := re.fullmatch(r"\$\{text:(x[0-9a-f]*)\}", parsed)):
        parsed = resolvers.text(found[1])
    assert str(parsed) == name


def test_bytes_that_are_no_text_survive():
    name = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    (_, word) = commandline.prepare([f"image.path={name}"])
    assert through_hydra(word) == name


def test_a_picture_by_path_alone_is_a_file():
    assert commandline.prepare(["task=jpeg", "image.path=a.jpg"]) == ["task=jpeg", "image=file", "image.path='a.jpg'"]
    assert commandline.prepare(["image=file", "image.path=a.jpg"]) == ["image=file", "image.path='a.jpg'"]


def test_every_file_key_is_protected_and_nothing_else():
    words = ["task/mask=file", "input=picture", "image=file", "task.mask.path=a,b.png", "input.path=a b"]
    words += ["results=x y,z", "+image.path=q,r", "logger.folder=a b", "seed=0,1", "arch.down=[8,8]"]
    prepared = commandline.prepare([*words, "task=denoise,jpeg", "--cfg", "job"])
    assert prepared[:5] == ["--cfg", "job", *words[:3]]
    assert prepared[5:7] == ["task.mask.path='a,b.png'", "input.path='a b'"]
    assert prepared[7:10] == ["results='x y,z'", "+image.path='q,r'", "logger.folder='a b'"]
    assert prepared[10:] == ["seed=0,1", "arch.down=[8,8]", "task=denoise,jpeg"]


def test_options_go_before_settings_wherever_they_stood():
    words = ["task=denoise", "-m", "seed=0,1", "--cfg", "job"]
    assert commandline.prepare(words) == ["-m", "--cfg", "job", "task=denoise", "seed=0,1"]


def test_a_mask_by_path_alone_is_a_file():
    assert commandline.prepare(["task.mask.path=m.png"]) == ["task/mask=file", "task.mask.path='m.png'"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["denoise"], r"'denoise' is no setting; write key=value, such as task=denoise"),
        (["image.path", "=", "a.png"], r"'image.path' is no setting; write key=value, .* without spaces around ="),
        (["image=photo.png"], r"image: 'photo.png' is no packaged picture; .* write image.path=photo.png"),
        (["image.path=" + "a" * 300], r"no\.png|image.path: 'a+' cannot be looked at"),
    ],
)
def test_words_that_are_no_settings_are_refused(words: list[str], text: str):
    with pytest.raises(Refused, match=text):
        commandline.prepare(words)


def test_a_name_already_quoted_for_hydra_is_not_quoted_twice(tmp_path: Path):
    path = tmp_path / "a b.png"
    path.touch()
    for given_name in (f"'{path}'", f'"{path}"', str(path)):
        (_, word) = commandline.prepare([f"image.path={given_name}"])
        assert through_hydra(word) == str(path)


def test_a_folder_and_a_glob_become_one_job_a_picture(tmp_path: Path):
    for name in ("b.PNG", "a,1.jpg", "notes.txt", "c.webp"):
        (tmp_path / name).touch()
    (tmp_path / "sub.png").mkdir()
    expected = [str(tmp_path / name) for name in ("a,1.jpg", "b.PNG", "c.webp")]
    prepared = commandline.prepare(["image=file", "task=jpeg", f"image.path={tmp_path}"])
    assert prepared == [
        "--multirun",
        "image=file",
        "task=jpeg",
        "image.path=" + ",".join(f"'{path}'" for path in expected),
    ]
    (_, _, word) = commandline.prepare(["-m", "image=file", f"image.path={tmp_path}/*.[jw]*"])
    assert word == f"image.path='{expected[0]}','{expected[2]}'"


def test_a_file_with_a_globs_name_is_a_file(tmp_path: Path):
    path = tmp_path / "a*[1].png"
    path.touch()
    assert commandline.prepare([f"image.path={path}"])[1:] == [f"image.path='{path}'"]


def test_a_list_of_files_sweeps_only_in_a_multirun(tmp_path: Path):
    one, two = tmp_path / "1.png", tmp_path / "2.png"
    for path in (one, two):
        path.touch()
    assert commandline.prepare(["-m", "image=file", f"image.path={one},{two}"])[2] == f"image.path='{one}','{two}'"
    assert commandline.prepare([f"image.path={one},{two}"])[1:] == [f"image.path='{one},{two}'"]


@pytest.mark.parametrize("value", ["{}", "{}/*.png"])
def test_no_picture_there_is_refused(tmp_path: Path, value: str):
    with pytest.raises(Refused, match=r"holds no picture; looked for files ending in \.png, .*\[image.path"):
        commandline.prepare([f"image.path={value.format(tmp_path)}"])


@pytest.mark.parametrize("name", [name for name in AWKWARD if commandline.quoted(name).startswith("$")])
def test_a_name_as_a_record_has_it_can_be_given_again(name: str):
    (word,) = commandline.prepare([f"results={commandline.quoted(name)}"])
    assert config.plain(config.compose([word]))["results"] == name


def test_out_is_an_option_and_a_setting():
    assert commandline.prepare(["--out", "a b.png", "task=jpeg"]) == ["out='a b.png'", "task=jpeg"]
    assert commandline.prepare(["--out=a,b.png"]) == commandline.prepare(["out=a,b.png"]) == ["out='a,b.png'"]
    with pytest.raises(Refused, match="out: nothing was given; a file's name is needed"):
        commandline.prepare(["task=jpeg", "--out"])


def test_the_first_of_the_swept_options_holds_their_settings():
    words = ["-m", "task=superres,superres_x8", "task.pair=consistent", "stop=emv,wmv", "seed=0,1", "arch=skip,unet"]
    assert commandline.prepare(words) == ["-m", "task=superres", *words[1:]]
    assert commandline.prepare(["-m", "stop=glob(*mv)", "stop.patience=3"])[1] == "stop=emv"
    searched = ["-m", "hydra/sweeper=optuna", "task=superres,superres_x8", "task.factor=2"]
    assert commandline.prepare(searched) == searched


def test_the_first_option_of_an_inner_swept_group_is_given_too():
    words = ["-m", "task=inpaint", "task/mask=file,table1", "task.mask.flip=true"]
    assert commandline.prepare(words)[1] == "task/mask=file"
