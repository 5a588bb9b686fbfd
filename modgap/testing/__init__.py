"""What a family of one's own is tested with: the suite of modgap's own families, and tiny parts.

>>> from modgap.testing import FamilySuite                                   # doctest: +SKIP

Needs pytest, and nothing else of modgap imports it. See docs/adding-a-model.md.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from modgap.core.lazy_imports import attach

if TYPE_CHECKING:
    from modgap.testing.suite import FamilySuite
    from modgap.testing.tiny import fill, make_clip, make_tokenizer, save, text_config

__all__ = ["FamilySuite", "fill", "make_clip", "make_tokenizer", "save", "text_config"]

if "pytest" in sys.modules:
    # Else a comparison that fails would not show what it compared.
    sys.modules["pytest"].register_assert_rewrite("modgap.testing.suite")

__getattr__, __dir__ = attach(
    __name__,
    {
        "suite": ("FamilySuite",),
        "tiny": ("fill", "make_clip", "make_tokenizer", "save", "text_config"),
    },
)
