"""Results in a notebook: tables and curves, figures behind ``.plot``, the map as a widget."""
