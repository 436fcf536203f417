"""`python -m sercli` is `ser`. Ctrl-C is heard from here on, even while the command line is still being imported."""

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line."""
    try:
        from sercli import cli

        try:
            cli.main()
        finally:
            cli.hear_no_more()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
