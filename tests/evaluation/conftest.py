"""What tests of data sets and runs share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.evaluation.endpoint import Endpoint


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """A judge that answers by a rule."""
    made = Endpoint()
    yield made
    made.close()
