"""`python -m torchmelinv`: the command line."""

import sys

from torchmelinv.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
