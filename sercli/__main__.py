"""`python -m sercli` is `ser`. Ctrl-C is heard from here on, even while the command line is still being imported."""

from typing import NoReturn

from sercli._system import ctrl_c


def main() -> NoReturn:
    """Run the command line."""
    try:
        from sercli.cli import app

        try:
            app.main()
        finally:
            ctrl_c.hear_no_more()
    except (KeyboardInterrupt, Exception) as error:  # in the import, or in the end of the command itself
        if not ctrl_c.is_behind(error):
            raise
        ctrl_c.hear_no_more()
        ctrl_c.end()


if __name__ == "__main__":
    main()
