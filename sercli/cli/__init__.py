"""One file per subcommand: parse, one stage call, render."""
