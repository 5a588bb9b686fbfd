"""The explorer: what its pages share. Nothing here is public API."""

import sys
from pathlib import Path

from modgap.core.folders import explorer_folder

# Streamlit puts the entry script's folder into `sys.path` before each run and takes it out after,
# unless it is there. An import that another thread has begun walks that list meanwhile, and misses
# the entry that moves past it: "No module named 'librosa'". At the end it shadows nothing.
_FOLDER = str(Path(__file__).resolve().parent)
if _FOLDER not in sys.path:
    sys.path.append(_FOLDER)

#: The scripts of the pages, which the entry script lists and buttons lead to.
PAGES = explorer_folder() / "pages"
