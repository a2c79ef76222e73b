"""The only home of sockets, threads, signals and the clock."""
