"""The commands: ordinary users of the public API."""
