"""Call a DLL that reaches neither the network nor your files.

The loader of Wine is a script that puts everything into a sandbox of bubblewrap (https://github.com/containers/bubblewrap).
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
from pathlib import Path

import winbridge

LOADER = Path(__file__).resolve().parent / "wine-bwrap.sh"
AF_INET, SOCK_STREAM = 2, 1
GENERIC_WRITE, CREATE_ALWAYS = 0x40000000, 2
INVALID_HANDLE = 0xFFFFFFFF


def connects(session: winbridge.SessionEngine, port: int) -> bool:
    """Whether a DLL can connect to a port of this machine (ws2_32, Microsoft Learn)."""
    ws2_32 = winbridge.load_dll("ws2_32", session=session)
    assert ws2_32.WSAStartup(0x0202, ctypes.create_string_buffer(512)) == 0
    ws2_32.socket.restype = ctypes.c_size_t
    ws2_32.connect.argtypes = [ctypes.c_size_t, ctypes.c_char_p, ctypes.c_int]
    ws2_32.closesocket.argtypes = [ctypes.c_size_t]
    handle = ws2_32.socket(AF_INET, SOCK_STREAM, 0)
    address = AF_INET.to_bytes(2, "little") + port.to_bytes(2, "big") + socket.inet_aton("127.0.0.1") + bytes(8)
    try:
        return bool(ws2_32.connect(handle, address, len(address)) == 0)
    finally:
        ws2_32.closesocket(handle)


def opens(session: winbridge.SessionEngine, path: Path, access: int, disposition: int) -> bool:
    """Whether a DLL can open a file of this machine (CreateFileW, Microsoft Learn)."""
    kernel32 = winbridge.load_dll("kernel32", session=session)
    create = kernel32.CreateFileW
    number, pointer = ctypes.c_uint32, ctypes.c_void_p
    create.argtypes = [ctypes.c_wchar_p, number, number, pointer, number, number, pointer]
    create.restype = ctypes.c_uint32
    handle = create("\\\\?\\unix" + str(path).replace("/", "\\"), access, 7, None, disposition, 0, None)
    if handle == INVALID_HANDLE:
        return False
    kernel32.CloseHandle(handle)
    return True


def report(session: winbridge.SessionEngine, folder: Path) -> dict[str, bool]:
    """What a DLL in a session can do: to a port that listens, a file, and a folder of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        connected = connects(session, server.getsockname()[1])
    (folder / "private.txt").write_text("mine")
    return {
        "calls": winbridge.load_dll("kernel32", session=session).MulDiv(6, 7, 1) == 42,
        "network": connected,
        "reads": opens(session, folder / "private.txt", 0x80000000, 3),
        "writes": opens(session, folder / "written.txt", GENERIC_WRITE, CREATE_ALWAYS),
    }


def main(prefix: str, folder: str) -> None:
    """Print what a confined DLL can do, with a prefix for it and a folder that it shall not see."""
    os.makedirs(folder, exist_ok=True)
    with winbridge.Win64Session(wine=LOADER, prefix=prefix, transport="stream") as session:
        for what, works in report(session, Path(folder)).items():
            print(f"{what}: {'yes' if works else 'no'}")


if __name__ == "__main__":
    main(*sys.argv[1:])
