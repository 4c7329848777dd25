"""Whole-array calls: many calls of one function in one exchange with the agent, which loops.

``mapped`` (``func.map``) takes Python objects, packed into columns; ``vectors`` (``func.vectorize``)
numpy arrays. Both send them by ``loop``; ``blame`` tells which item an error is of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from winbridge.dll.many.callee import Callee


def vectorized(function: Callee, arrays: tuple[Any, ...], out: Any, dtype: Any) -> Any:
    """See ``DllFunction.vectorize``.

    Raises:
        ImportError: numpy is missing.
    """
    try:
        from winbridge.dll.many import vectors
    except ModuleNotFoundError as error:
        if error.name != "numpy":
            raise
        raise ImportError("vectorize needs numpy: pip install 'winbridge[numpy]'", name="numpy") from error
    return vectors.vectorized(function, arrays, out, dtype)
