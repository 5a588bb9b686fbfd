"""One clip in one model, or in several: analysed, compared, swept, patched, checked."""
