"""What the operating system gives: files written whole, locks, processes, Ctrl-C, threads, memory, devices."""
