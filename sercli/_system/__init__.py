"""Helpers around the operating system: atomic files, locks, processes, Ctrl-C, threads, memory, devices."""
