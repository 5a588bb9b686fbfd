"""The alignment map that can be heard: one payload, one script, wherever it is mounted."""
