"""Models without weights, built to be counted."""

from __future__ import annotations

from typing import Any

import torch


def bare(kind: Any, config: Any) -> Any:
    """Build a transformers model on torch's meta device, from its config alone.

    Parameters
    ----------
    kind : callable
        Takes the config: a model's class, or an auto class's ``from_config``.
    config : PretrainedConfig
        Loses what it says of dtypes. transformers builds parts in the dtype that a config names by
        making it torch's default, which is one for the whole process: features that another thread
        computed at that moment would be rounded to it.
    """
    _forget_dtypes(config)
    with torch.device("meta"):
        return kind(config)


def _forget_dtypes(config: Any) -> None:
    config.dtype = None
    for name in config.sub_configs:
        part = getattr(config, name, None)
        if part is not None:
            _forget_dtypes(part)
