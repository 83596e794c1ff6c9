"""The wire between the agent and the simulated devices: in virtual time, and as a real paced process."""
