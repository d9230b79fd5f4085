"""Settings of Sphinx for these pages. The build needs no network, and no page makes a request to a third party."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # for the generators of pages, beside this file

project = "kling_async"
author = "The kling_async maintainers"
copyright = author
version = release = importlib.metadata.version("kling-async")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_build"]

html_theme = "furo"
pygments_dark_style = "monokai"  # that of furo underlines names of modules, as if they were links
html_title = f"kling_async {release}"
html_show_sphinx = False
html_copy_source = False
html_favicon = "icon.svg"
html_static_path = ["static"]
html_css_files = ["style.css"]
html_search_scorer = str(HERE / "search_scorer.js")
html_theme_options = {"navigation_with_keys": True}

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

# Signatures keep their types: attrs writes them, and they show which arguments are keyword-only. The section
# "Attributes:" of a docstring becomes one list of names; napoleon's default are variables, or two lists.
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_type_aliases = {"Json": "Json"}
autodoc_member_order = "bysource"
add_module_names = False
default_role = "code"  # docstrings put code between single backticks, as Markdown does
maximum_signature_line_length = 80
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Attributes", "params_style")]

# Prompts and output are not part of a command.
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True


def generate_pages(_app: Sphinx) -> None:
    """Write the pages that are generated from the tables of the package and its tests."""
    from commands_page import write_commands_page  # noqa: PLC0415
    from faults_page import write_faults_page  # noqa: PLC0415  only a build needs them
    from models_page import write_models_page  # noqa: PLC0415
    from transitions_picture import write_transitions  # noqa: PLC0415

    write_commands_page(HERE / "reference" / "commands.md")
    write_faults_page(HERE / "reference" / "faults.md")
    write_models_page(HERE / "reference" / "models.md")
    write_transitions(HERE / "explanation" / "transitions.svg")


def list_pages(app: Sphinx, error: Exception | None) -> None:
    """Write llms.txt and llms-full.txt beside the index, from the pages of this build."""
    from llms import write_llms  # noqa: PLC0415

    if error is None and app.builder.format == "html":
        write_llms(HERE, Path(app.outdir))


def shorten_signature(*arguments: object) -> tuple[str | None, object]:
    """Return a signature as a reader would write it, without the internals of attrs and of recursive aliases."""
    signature, returns = arguments[-2:]
    if not isinstance(signature, str):
        return None, returns
    return re.sub(r"TypeAliasForwardRef\('(\w+)'\)", r"\1", signature).replace("= NOTHING", "= ..."), returns


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the generators to the build."""
    app.connect("builder-inited", generate_pages)
    app.connect("autodoc-process-signature", shorten_signature)
    app.connect("build-finished", list_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
