"""`python -m hil.aggregator`, the same as `python -m hil aggregator`."""

import sys

from hil.aggregator.cli import main

sys.exit(main())
