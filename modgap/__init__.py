"""modgap: why does a speech language model understand words worse said than typed?"""
