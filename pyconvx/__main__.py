"""`python -m pyconvx` is the command `pyconvx`."""

import sys

from pyconvx.cli import main

sys.exit(main())
