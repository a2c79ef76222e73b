"""Bytes to values and back: pure functions, one module per layer of the message."""
