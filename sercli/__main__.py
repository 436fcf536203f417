"""`python -m sercli` is `ser`. Ctrl-C is heard from here on, even while the command line is still being imported."""

import signal
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line."""
    try:
        from sercli import cli

        cli.main()
    except KeyboardInterrupt:
        sys.exit(130)
    finally:  # all is said and done: Ctrl-C while Python takes itself down would only be a traceback on the screen
        signal.signal(signal.SIGINT, signal.SIG_IGN)


if __name__ == "__main__":
    main()
