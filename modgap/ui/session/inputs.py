"""The widgets whose values are read or set beside where they are drawn: each key, once."""

from __future__ import annotations

from typing import Any

from modgap.ui.session.state import Widget

# The sidebar: a model and how it is held, by the names of the address.
MODEL = Widget[str]("model")
HELD = {name: Widget[str](name) for name in ("device", "dtype", "quantize")}

# The Clip page.
UPLOAD = Widget[Any]("upload")
RECORD = Widget[Any]("record")
TRIM = Widget[tuple[float, float]]("trim")
CHANNEL = Widget[int]("channel")  # from 1; 0 is the mean of all
TRANSCRIPT = Widget[str]("transcript")
INSTRUCTION = Widget[str]("instruction")
MARKERS = Widget[str]("markers")
TOO_LONG = Widget[str]("too_long")

# Layers.
CLIPS = Widget[list[str]]("compare_clips")
MODELS = Widget[list[str]]("compare_models")

# Alignment.
FILTERED = Widget[bool]("align_filtered")

# Interventions, by the names of an `Intervention`'s parts.
EDIT = {
    name: Widget[Any](f"iv_{name}")
    for name in (
        *("rule", "strength", "path", "measure", "seed", "layer", "source", "tokens"),
        *("map", "keep_length"),
    )
}

# Localize, by the names of the address.
DECIDED = {
    name: Widget[Any](f"wd_{name}")
    for name in ("show", "where", "target", "rules", "tokens", "fitted")
}
DECIDED_LAYER = Widget[int]("wd_layer")
DECIDED_WORD = Widget[int]("wd_token")

# Compare.
COMPARED = Widget[list[str]]("cm_models")
COMPARED_BY = Widget[str]("cm_measure")
DEPTH = Widget[float]("cm_depth")

# Compare: two clips.
COMPARED_WHAT = Widget[str]("cm_what")
SECOND = Widget[str]("ab_source")
SECOND_UPLOAD = Widget[Any]("ab_upload")
SECOND_RECORD = Widget[Any]("ab_record")
CONDITION = Widget[str]("ab_condition")
AB_LAYER = Widget[int]("ab_layer")

# The pages of runs.
RUN = Widget[str]("gap_run")
RUN_PATH = Widget[str]("run_path")
CHECKPOINTS = Widget[list[str]]("gap_models")
GROUP = Widget[str]("gap_by")
TOLERANCE = Widget[float]("gap_tolerance")
SUBJECT = Widget[str]("clips_model")
CHANGE = Widget[str]("clips_change")
SORT = Widget[str]("clips_sort")
TABLE_PAGE = Widget[int]("clips_page")
SIMILARITY = Widget[str]("co_measure")
LAYER = Widget[int]("co_layer")
SCALE = Widget[str]("co_scale")
SPLIT = Widget[str]("co_split")
ASKED = Widget[str]("co_model")
CONTROLLED = Widget[str]("co_controlled")
INTERVENED = Widget[str]("table1_model")

# A new run of uploaded files.
BATCH_FILES = Widget[list[Any]]("batch_files")
BATCH_NAME = Widget[str]("batch_name")
BATCH_MODELS = Widget[list[str]]("batch_models")
BATCH_INSTRUCTION = Widget[str]("batch_instruction")
BATCH_PIPELINE = Widget[bool]("batch_pipeline")


def only(facet: str) -> Widget[list[str]]:
    """Which values of a facet a run is filtered by."""
    return Widget(f"gap_only_{facet}")
