"""The automata of the protocol: events and time in, effects out; no I/O, no clock."""
