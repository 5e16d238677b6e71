"""The commands, one a file: `add_parser(commands)` says what can be asked for, `run(options)` calls a job and prints its answer.

`cli.py` lists them. What several ask for alike is in `options.py`; how they all speak, in `jobs/console.py`.
"""
