"""The version of the package: part of what every result says of its origin."""

from __future__ import annotations

__version__ = "0.1.0"
