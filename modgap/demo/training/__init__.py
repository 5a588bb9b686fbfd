"""How the embedded family is made from nothing: texts, speech, features, stages of training.

Each part writes whole files into one work folder and does nothing that is done: a run that was
killed at any point goes on where it was. Only the command line imports this package.
"""
