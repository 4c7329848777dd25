"""Binding: a function in one session."""

from __future__ import annotations

from typing import Any

from winbridge.core.session import SessionEngine


class Binding:
    """A function in one session: its address there, and the plans of its calls by the types of their arguments.

    The extension has the same class in C (native/extension/numbers.c).
    """

    def __init__(self, session: SessionEngine, address: int) -> None:
        self.session = session
        self.address = address
        self.plans: dict[tuple[type, ...], Any] = {}

    def forget(self) -> None:
        """Drop the plans: the prototype changed."""
        self.plans.clear()
