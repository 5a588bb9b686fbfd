"""Whole data sets: questions, scorers, the runner and the tables that it writes."""
