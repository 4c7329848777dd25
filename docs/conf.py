"""Sphinx configuration; `make docs` builds with warnings as errors."""

import winbridge

project = "winbridge"
author = "The winbridge developers"
release = version = winbridge.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"winbridge {release}"

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
napoleon_use_rtype = False
