"""Numbers of things in words."""


def counted(number: int, what: str) -> str:
    """A number of things, in the plural unless it is one.

    >>> counted(1, "test"), counted(2, "test image"), counted(0, "process")
    ('1 test', '2 test images', '0 processes')
    """
    ending = "" if number == 1 else "es" if what.endswith("s") else "s"
    return f"{number:,} {what}{ending}"
