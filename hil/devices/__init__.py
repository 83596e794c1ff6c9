"""Simulated Modbus devices: tables transcribed by hand, encoded by code of their own, so that an error shows."""
