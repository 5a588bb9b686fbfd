"""Asking it: units of work, in one process or many, into the tables of a run."""
