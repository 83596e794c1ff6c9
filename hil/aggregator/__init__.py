"""The aggregator's side of the link, written apart from the agent's: it signs and verifies with joserfc only."""
