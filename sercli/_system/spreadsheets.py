"""Text of strangers in tables that spreadsheets open."""

import unicodedata


def harmless(cell: object) -> object:
    r"""Return a cell that a spreadsheet shows as text and a terminal prints.

    Text that would run as a formula begins with ', and control characters are shown as escapes.

    >>> harmless("=1+1"), harmless("-"), harmless("a\x1b[2J"), harmless(-0.5)
    ("'=1+1", '-', 'a\\x1b[2J', -0.5)
    """
    if not isinstance(cell, str):
        return cell
    shown = "".join(ascii(c)[1:-1] if unicodedata.category(c) == "Cc" and c not in "\t\r\n" else c for c in cell)
    formula = len(shown) > 1 and shown.lstrip().startswith(("=", "+", "-", "@"))
    return f"'{shown}" if formula else shown
