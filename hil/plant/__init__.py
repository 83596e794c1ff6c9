"""The simulated home: physics only, no registers, no clock. Pure Python, deterministic by seed."""
