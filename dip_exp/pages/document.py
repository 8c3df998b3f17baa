"""Templates to HTML: everything that is put in is escaped, and the page runs its own script alone."""

import base64
import hashlib
from functools import cache
from importlib.resources import files

import jinja2
from markupsafe import Markup

OPEN, CLOSED = "img-src data: 'self' file:; script-src 'self' file:", "img-src data:; script-src"
"""What a page may load: from its own folder too, or nothing at all."""


def rendered(template: str, scripts: list[str], *, closed: bool, **values: object) -> str:
    """Returns the HTML of a template with `values`; style and scripts (names in `static`) are written into it.

    closed: the page loads nothing. Otherwise it may load pictures and scripts that lie beside it.
    """
    style, script = _static("style.css"), "\n".join(_static(name) for name in ("common.js", *scripts))
    allowed = f"{CLOSED if closed else OPEN} {_hash(script)}; style-src {_hash(style)}"
    policy = f"default-src 'none'; base-uri 'none'; form-action 'none'; {allowed}"
    return (
        _environment()
        .get_template(template)
        .render(**values, policy=policy, style=Markup(style), script=Markup(script))  # both are this package's own
    )


def _hash(text: str) -> str:
    """Returns a text's source expression for a content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"


@cache
def _static(name: str) -> str:
    return files("dip_exp.pages").joinpath("static", name).read_text(encoding="utf-8")


@cache
def _environment() -> jinja2.Environment:
    found = jinja2.Environment(
        loader=jinja2.FunctionLoader(
            lambda name: files("dip_exp.pages").joinpath("templates", name).read_text(encoding="utf-8")
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["thousands"] = lambda number: f"{number:,}"
    return found
