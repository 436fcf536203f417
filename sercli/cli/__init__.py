"""The command line: one file per subcommand, which parses, calls the library and shows the result."""
