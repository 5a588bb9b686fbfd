"""The exceptions of modgap. Their messages are written for users and safe to show."""

from __future__ import annotations


class ModgapError(ValueError):
    """Something the user can mend; the message says what is wrong and what to do."""


class AudioError(ModgapError):
    """The audio cannot be used."""


class ModelError(ModgapError):
    """The model cannot be found, loaded or run."""


class SettingsError(ModgapError):
    """A setting is out of range or does not fit the others."""


class StoreError(ModgapError):
    """The cache cannot be read or written."""


class Cancelled(Exception):
    """Raised by a progress callback to stop a running computation."""
