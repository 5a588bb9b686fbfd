"""The embedded model family: where its weights are, and its questions."""
