"""The command line: one command per file. Not a Python API; `torchmelinv.corpus` is."""
