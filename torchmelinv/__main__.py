"""`python -m torchmelinv`: the command line."""

import sys

from torchmelinv.cli import main

if __name__ == "__main__":
    sys.exit(main())
