"""Promises of safety and protocol, tested from the specification alone."""
