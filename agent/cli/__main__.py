"""`python -m agent.cli` is `batteryctl`."""

import sys

from agent.cli.main import main

sys.exit(main())
