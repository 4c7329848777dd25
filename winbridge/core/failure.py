"""What a record that is not OK means, as an exception."""

from __future__ import annotations

from winbridge.core.errors import WinbridgeError, WindowsFault, WireError
from winbridge.core.wire import CALLBACK_GONE, Malformed, Record, Response, Status

ACCESS_VIOLATION = 0xC0000005

# The texts are those of ctypes on Windows (CPython's documentation and behaviour).
# For an execute violation ctypes says "writing"; we say what happened.
_ACCESS = {0: "reading", 1: "writing", 8: "executing"}
_TEXTS = {
    0x80000002: "datatype misalignment",
    0x80000003: "breakpoint encountered",
    0x80000004: "single step",
    0xC0000025: "nocontinuable",
    0xC000008C: "array bounds exceeded",
    0xC000008D: "floating-point operand denormal",
    0xC000008E: "float divide by zero",
    0xC000008F: "float inexact",
    0xC0000090: "float invalid operation",
    0xC0000091: "float overflow",
    0xC0000092: "stack over/underflow",
    0xC0000093: "float underflow",
    0xC0000094: "integer divide by zero",
    0xC0000095: "integer overflow",
    0xC0000096: "privileged instruction",
    0xC00000FD: "stack overflow",
}


def failure(record: Record, pointer_size: int) -> WinbridgeError:
    """The exception for a record whose status is not OK.

    Args:
        record: what the channel returned.
        pointer_size: 8 or 4, the width that addresses are written in.
    """
    response = Response(*record)
    if response.status == Status.FAULT:
        return _fault(response, pointer_size)
    if response.status == Status.MALFORMED:
        known = response.result in Malformed._value2member_map_
        rule = Malformed(response.result).name.lower() if known else response.result
        return WireError(f"the agent refused the request: its {rule} breaks a rule of the wire")
    return WireError(f"the agent answered with an unknown status {response.status}")


def _fault(response: Response, pointer_size: int) -> WindowsFault:
    code = response.result & 0xFFFFFFFF
    if code == ACCESS_VIOLATION:
        address = f"0x{response.address:0{2 * pointer_size}X}"
        text = f"exception: access violation {_ACCESS.get(response.access, 'using')} {address}"
        return WindowsFault(text, code, response.address, response.instruction)
    if code == CALLBACK_GONE:
        text = "a callback was called whose Python object is gone: keep a reference as long as the DLL may call it"
        return WindowsFault(text, code, None, response.instruction)
    if code in _TEXTS:
        return WindowsFault(f"exception: {_TEXTS[code]}", code, None, response.instruction)
    signed = code - (1 << 32) if code >= 1 << 31 else code
    return WindowsFault(f"[WinError {signed}] Windows Error 0x{code:x}", code, None, response.instruction)
