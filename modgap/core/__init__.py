"""What everything stands on: errors, settings, progress, files, the version."""
