"""How the site is built: `sphinx-build -W --keep-going -b html docs _site`."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

import jitload

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]

project = "jitload"
author = "The jitload authors"
release = version = jitload.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"jitload {version}"
html_show_sphinx = False
html_copy_source = False
templates_path: list[str] = []
exclude_patterns = ["README.md"]

# Docstrings: Google's sections, and code in single backticks, as in the Markdown of these pages.
default_role = "code"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
# Packages that adapters read, and that no page needs. What tvm-ffi finds of them is taken before they are stood in for.
importlib.import_module("jitload.interop.tvm_ffi")
autodoc_mock_imports = ["cupy", "jax", "torch", "triton"]

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
suppress_warnings = ["misc.highlighting_failure"]

#: Pages of the site that stand beside this directory, where who reads a checkout looks for them.
BESIDE = {f"{name.upper()}.md": f"project/{name}" for name in ("contributing", "security", "changelog")}


def _page(name: str) -> str:
    """The text of such a page, with its links as they are from project/."""
    text = re.sub(r"\]\(docs/", "](../", (ROOT / name).read_text(encoding="utf-8"))
    return re.sub(r"\]\(([A-Z]+)\.md", lambda match: f"]({match[1].lower()}.md", text)


def read_page(_: Sphinx, docname: str, source: list[str]) -> None:
    """Put those pages where the site has them, and lead the links of others there."""
    for name, page in BESIDE.items():
        if docname == page:
            source[0] = _page(name)
        else:
            source[0] = re.sub(rf"\]\((\.\./)+{re.escape(name)}", f"]({'../' * docname.count('/')}{page}.md", source[0])


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", read_page)
