"""A page to one file of HTML. Jinja2 escapes every text; what does not print is shown by its number."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import jitload
from jitload.errors import JitloadError
from jitload.files.atomic import write_file
from jitload.lazy import lazy
from jitload.notebook import shown

if TYPE_CHECKING:
    import os

    import jinja2

    from jitload.report.page import Page
else:
    jinja2 = lazy("jinja2")

_TEMPLATE = "page.html"


def render(page: Page) -> str:
    """The text of the file.

    Raises:
        JitloadError: Jinja2 is not installed.
    """
    try:
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(Path(__file__).parent),
            autoescape=True,
            finalize=_shown,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
    except ImportError:
        raise JitloadError(
            "a report is made with Jinja2, which is not installed: pip install 'jitload[report]'"
        ) from None
    return environment.get_template(_TEMPLATE).render(page=page, version=jitload.__version__)


def write_page(page: Page, path: str | os.PathLike[str]) -> None:
    """Write it; the file appears whole or not at all.

    Raises:
        JitloadError: Jinja2 is not installed.
        OSError: the file cannot be written.
    """
    write_file(path, render(page).encode("utf-8", "backslashreplace"))


def _shown(value: object) -> object:
    # Markup is what the template itself has made, by a macro: no text from elsewhere is ever of that type.
    return shown(value) if type(value) is str else value
