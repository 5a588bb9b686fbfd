"""Figures: pure functions from data to ``plotly.graph_objects.Figure``."""
