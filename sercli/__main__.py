"""`python -m sercli` is `ser`. Ctrl-C works from here on, even during the import of the command line."""

import gc
from typing import NoReturn

from sercli._system import ctrl_c


def main() -> NoReturn:
    """Run the command line.

    Imports make 180,000 objects that stay. By default Python looks through them for cycles again and again, and once
    more at its end, which takes a quarter of a short command.
    """
    gc.set_threshold(10_000)
    try:
        from sercli.cli import app

        try:
            app.main()
        finally:
            ctrl_c.ignore()
            gc.freeze()
    except (KeyboardInterrupt, Exception) as error:  # in the import, or in the end of the command itself
        if not ctrl_c.is_ctrl_c(error):
            raise
        ctrl_c.ignore()
        ctrl_c.end()


if __name__ == "__main__":
    main()
