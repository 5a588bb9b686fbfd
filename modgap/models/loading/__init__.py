"""From a name to a loaded model: where it lies, what it is, how much memory it takes."""
