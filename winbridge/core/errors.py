"""Every exception that winbridge raises, one tree.

Where a user of ctypes or of the standard library would expect a certain built-in
type, the class has that type as its second base, so existing ``except`` clauses work.
"""

from __future__ import annotations

import ctypes

__all__ = [
    "AgentDiedError",
    "AgentError",
    "AgentStartError",
    "CallTimeoutError",
    "ConfigError",
    "ConnectError",
    "DllError",
    "DllNotFoundError",
    "FunctionNotFoundError",
    "NoSessionError",
    "PrototypeError",
    "SessionClosedError",
    "SessionError",
    "SessionExistsError",
    "TransportError",
    "WinbridgeError",
    "WindowsFault",
    "WireError",
]


class WinbridgeError(Exception):
    """Root of all errors of winbridge."""


class SessionError(WinbridgeError):
    """Something about a session's life."""


class NoSessionError(SessionError):
    """There is no session to use, and its type never opens by itself."""


class SessionExistsError(SessionError):
    """This thread has a session of this type already, made with other arguments."""


class SessionClosedError(SessionError):
    """The session was closed, here or at the far end, or belongs to a parent process."""


class AgentError(WinbridgeError):
    """Something about the Windows process behind a session."""


class AgentStartError(AgentError):
    """The agent could not be started: Wine, its prefix or the agent itself is at fault."""


class AgentDiedError(AgentError):
    """The Windows process behind the session ended; the session is closed.

    Attributes:
        exit_code: what Linux saw of the exit code, 0 to 255 (Wine passes on the low
            eight bits), negative for the signal that killed it, None if unknown.
        stderr_tail: the last lines that the process wrote to its standard error.
    """

    def __init__(self, message: str, exit_code: int | None = None, stderr_tail: str = "") -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.stderr_tail = stderr_tail

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.args[0], self.exit_code, self.stderr_tail), self.__dict__


class TransportError(WinbridgeError):
    """The carrier between client and agent failed."""


class ConnectError(TransportError, ConnectionError):
    """The far end could not be reached, or it refused us."""


class CallTimeoutError(TransportError, TimeoutError):
    """A call took longer than ``timeout_call``; it was abandoned, the session goes on."""


class WireError(WinbridgeError):
    """A message does not follow the wire's rules, or another version of it was spoken."""


class ConfigError(WinbridgeError, ValueError):
    """A parameter has an unknown name or a bad value; the message names its source."""


class DllError(WinbridgeError):
    """Something about a DLL or one of its functions."""


class DllNotFoundError(DllError, FileNotFoundError):
    """A DLL could not be loaded: the message says which file is missing or unsuitable.

    Attributes:
        winerror: the Windows error code (126 missing, 193 wrong bitness or no PE file).
    """

    def __init__(self, message: str, winerror: int = 126) -> None:
        super().__init__(message)
        self.winerror = winerror

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.args[0], self.winerror), self.__dict__


class FunctionNotFoundError(DllError, AttributeError):
    """A DLL exports no function of this name or ordinal."""


class PrototypeError(DllError, ctypes.ArgumentError):
    """A prototype, or an argument that does not fit it."""


class WindowsFault(DllError, OSError):  # noqa: N818 - a fixed public name
    """A function raised a Windows exception; it was stopped, the session goes on.

    Attributes:
        code: the Windows exception code, for example 0xC0000005.
        address: the address that was accessed (access violations only, else None).
        instruction: the address of the instruction that was at fault.
        winerror: ``code`` as a signed 32-bit integer, as ctypes gives it.
    """

    def __init__(self, message: str, code: int, address: int | None = None, instruction: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.address = address
        self.instruction = instruction
        self.winerror = code - (1 << 32) if code >= 1 << 31 else code

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.args[0], self.code, self.address, self.instruction), self.__dict__
