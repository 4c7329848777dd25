"""What runs at the far side, with every contender."""


def add(left, right):
    return left + right


def echo(value):
    return value


class Far:
    """The same as methods, for contenders that have objects there and no functions."""

    add = staticmethod(add)
    echo = staticmethod(echo)
