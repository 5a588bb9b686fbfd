"""The suite that every family passes, on the checkpoints of `tests.families.makers`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

from modgap.models.base import SpeechLM
from modgap.testing.suite import FamilySuite as Suite
from modgap.testing.suite import ids_of

__all__ = ["FamilySuite", "ids_of"]


class FamilySuite(Suite):
    """For the families of the package, which are found by the name of their module."""

    #: Name of the maker in `tests.families.makers`, and of the module under test.
    family: ClassVar[str]

    @pytest.fixture(scope="class")
    def folder(self, family_folder: Any) -> Path:
        return family_folder(self.family)

    def test_is_what_the_module_says(self, model: SpeechLM) -> None:
        assert type(model).__module__ == f"modgap.models.families.{self.family}"
        assert model.model_type == self.family
        assert model.family is None
        assert model.checkpoints or self.family.startswith("modgap_")
