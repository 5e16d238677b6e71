"""The work behind the command line: each job is a function that takes values and returns a record."""
