"""What can go wrong between two Pythons, beside the exceptions of the functions that are called."""

from __future__ import annotations

from winbridge.core.errors import WinbridgeError

__all__ = ["CallCancelled", "DisconnectError", "OperationError", "ProtocolError", "RemoteTraceback"]


class OperationError(WinbridgeError):
    """An operation could not be carried out at the other side, or its result not be brought back."""


class DisconnectError(OperationError, ConnectionError):
    """The connection is closed or lost; whatever was pending on it fails with this, and all that comes later."""


class ProtocolError(DisconnectError):
    """The peer does not follow the protocol, or none of its versions is ours; the connection is closed."""


class RemoteTraceback(Exception):  # noqa: N818 - the cause of an error
    """The traceback at the other side, as text; the ``__cause__`` of an exception that came from there."""

    def __str__(self) -> str:
        return "\n" + str(self.args[0]) if self.args else ""


class CallCancelled(BaseException):
    """Raised in the middle of a function whose caller has cancelled it."""
