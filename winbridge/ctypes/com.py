"""What a COM object tells of the failure of one of its methods.

The steps are those of ctypes (CPython, ``GetComError`` in Modules/_ctypes/callproc.c); interfaces and the order of
their methods are those of Microsoft Learn (ISupportErrorInfo, IErrorInfo).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from winbridge.core import wire
from winbridge.core.heap import Block

SUPPORT_ERROR_INFO = struct.pack("<IHH8s", 0xDF0B3D60, 0x548F, 0x101B, bytes.fromhex("8E6508002B2BD119"))
"""IID_ISupportErrorInfo, as a GUID lies in memory."""
GUID_SIZE = 16

Details = tuple[str | None, str | None, str | None, int, str | None]
"""Description, source, help file, help context, ProgID."""

NO_DETAILS: Details = (None, None, None, 0, None)


class Interface:
    """An interface pointer that is released at the end of a ``with``.

    Args:
        family: whose session it is of.
        address: the pointer itself.
    """

    def __init__(self, family: Any, address: int) -> None:
        self._family = family
        self._address = address

    def __enter__(self) -> Interface:
        return self

    def __exit__(self, *error: object) -> None:
        self.call(2, "Release")

    def call(self, index: int, name: str, *words: int) -> int:
        """Call a method by its place in the table; returns its HRESULT."""
        family = self._family
        size = family.pointer_size
        method = family.memory.word(family.memory.word(self._address) + index * size)
        given = wire.words(size, self._address, *words)
        message = wire.request(wire.Op.CALL, given, flags=wire.Result.INT32, target=method)
        with family.twins.around(()):  # the method may be Python's
            record = family.session().exchange(message, name)
        return record[2]  # type: ignore[no-any-return]


def error_details(family: Any, this: int, iid: Any) -> Details:
    """The details for a ``COMError``; asking for them clears the thread's error object.

    Args:
        family: whose session is asked.
        this: the object whose method failed.
        iid: of the method's interface: a GUID structure, or its bytes, or a pointer to it. Of anything else nobody
            can ask the object: there are no details.

    Raises:
        WindowsFault: a method of the object crashed.
    """
    identifier = _identifier(iid)
    if identifier is None or not _supports_error_info(family, this, identifier):
        return NO_DETAILS
    out = family.heap.allocate(family.pointer_size)
    if family.call_system("oleaut32", "GetErrorInfo", 0, out.address) & 0xFFFFFFFF:  # S_FALSE: there is none
        return NO_DETAILS
    with Interface(family, family.memory.word(out.address)) as info:
        description = _text(family, info, 5, "GetDescription")
        guid, context = family.heap.allocate(GUID_SIZE), family.heap.allocate(4)
        info.call(3, "GetGUID", guid.address)
        info.call(7, "GetHelpContext", context.address)
        help_file = _text(family, info, 6, "GetHelpFile")
        source = _text(family, info, 4, "GetSource")
    number = int.from_bytes(context.view[:4], "little", signed=True)
    return description, source, help_file, number, _prog_id(family, guid)


def _identifier(iid: Any) -> bytes | None:
    try:
        data = bytes(memoryview(getattr(iid, "contents", iid)))
    except (TypeError, ValueError):  # no memory; a null pointer
        return None
    return data if len(data) == GUID_SIZE else None


def _supports_error_info(family: Any, this: int, iid: bytes) -> bool:
    """Whether the object says that methods of this interface leave an error object; S_FALSE is no failure to ctypes."""
    wanted, out = _block(family, SUPPORT_ERROR_INFO), family.heap.allocate(family.pointer_size)
    if Interface(family, this).call(0, "QueryInterface", wanted.address, out.address) < 0:
        return False
    identifier = _block(family, iid)
    with Interface(family, family.memory.word(out.address)) as support:
        return support.call(3, "InterfaceSupportsErrorInfo", identifier.address) >= 0


def _block(family: Any, data: bytes) -> Block:
    block: Block = family.heap.allocate(len(data))
    block.view[: len(data)] = data
    return block


def _text(family: Any, info: Interface, index: int, name: str) -> str | None:
    """What a method gives as a BSTR; up to the first zero, as ctypes takes it."""
    return _taken(family, lambda out: info.call(index, name, out), family.memory.free_bstr)


def _prog_id(family: Any, guid: Block) -> str | None:
    return _taken(
        family,
        lambda out: family.call_system("ole32", "ProgIDFromCLSID", guid.address, out),
        lambda address: family.call_system("ole32", "CoTaskMemFree", address),
    )


def _taken(family: Any, give: Callable[[int], Any], free: Callable[[int], Any]) -> str | None:
    """The text whose address a function stores where it is told, and which is freed then."""
    memory, out = family.memory, family.heap.allocate(family.pointer_size)
    give(out.address)
    address = memory.word(out.address)
    if not address:
        return None
    try:
        return memory.wide_string(address)  # type: ignore[no-any-return]
    finally:
        free(address)
