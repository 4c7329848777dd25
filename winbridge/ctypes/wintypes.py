"""The names of ``ctypes.wintypes`` with the widths that they have on Windows.

Source: Windows data types, and the structures' own pages (Microsoft Learn).
"""

from __future__ import annotations

from ctypes import (
    POINTER,
    Structure,
    c_char,
    c_char_p,
    c_double,
    c_float,
    c_int,
    c_short,
    c_ubyte,
    c_uint,
    c_ushort,
    c_void_p,
    c_wchar,
    c_wchar_p,
)

from winbridge.ctypes.types import SimpleData, c_longlong, c_size_t, c_ssize_t, c_ulonglong

BYTE = c_ubyte
WORD = USHORT = ATOM = LANGID = c_ushort
SHORT = c_short
DWORD = ULONG = LCID = LCTYPE = LGRPID = COLORREF = UINT = c_uint
INT = LONG = BOOL = c_int
BOOLEAN = c_ubyte
CHAR = c_char
WCHAR = c_wchar
FLOAT, DOUBLE = c_float, c_double
LARGE_INTEGER = _LARGE_INTEGER = c_longlong
ULARGE_INTEGER = _ULARGE_INTEGER = c_ulonglong
WPARAM = SIZE_T = c_size_t
LPARAM = c_ssize_t
SC_HANDLE = SERVICE_STATUS_HANDLE = c_void_p
LPVOID = LPCVOID = c_void_p
LPSTR = LPCSTR = c_char_p
OLESTR = LPOLESTR = LPWSTR = LPCWSTR = LPCOLESTR = c_wchar_p

HANDLE = c_void_p
HACCEL = HBITMAP = HBRUSH = HCOLORSPACE = HDC = HDESK = HDWP = HENHMETAFILE = HFONT = HGDIOBJ = HGLOBAL = HANDLE
HHOOK = HICON = HINSTANCE = HKEY = HKL = HLOCAL = HMENU = HMETAFILE = HMODULE = HMONITOR = HPALETTE = HPEN = HANDLE
HRGN = HRSRC = HSTR = HTASK = HWINSTA = HWND = HANDLE


class VARIANT_BOOL(SimpleData):
    """2 bytes: -1 for true, 0 for false."""

    _type_ = "v"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value!r})"


class RECT(Structure):
    """A rectangle by its edges."""

    _fields_ = [("left", LONG), ("top", LONG), ("right", LONG), ("bottom", LONG)]


class _SMALL_RECT(Structure):
    _fields_ = [("Left", SHORT), ("Top", SHORT), ("Right", SHORT), ("Bottom", SHORT)]


class _COORD(Structure):
    _fields_ = [("X", SHORT), ("Y", SHORT)]


class POINT(Structure):
    """A point."""

    _fields_ = [("x", LONG), ("y", LONG)]


class SIZE(Structure):
    """Width and height."""

    _fields_ = [("cx", LONG), ("cy", LONG)]


class FILETIME(Structure):
    """100-nanosecond intervals since 1601."""

    _fields_ = [("dwLowDateTime", DWORD), ("dwHighDateTime", DWORD)]


class MSG(Structure):
    """A message of a thread's queue."""

    _fields_ = [
        ("hWnd", HWND),
        ("message", UINT),
        ("wParam", WPARAM),
        ("lParam", LPARAM),
        ("time", DWORD),
        ("pt", POINT),
    ]


MAX_PATH = 260


class WIN32_FIND_DATAA(Structure):
    """What FindFirstFileA tells of a file."""

    _fields_ = [
        ("dwFileAttributes", DWORD),
        ("ftCreationTime", FILETIME),
        ("ftLastAccessTime", FILETIME),
        ("ftLastWriteTime", FILETIME),
        ("nFileSizeHigh", DWORD),
        ("nFileSizeLow", DWORD),
        ("dwReserved0", DWORD),
        ("dwReserved1", DWORD),
        ("cFileName", CHAR * MAX_PATH),
        ("cAlternateFileName", CHAR * 14),
    ]


class WIN32_FIND_DATAW(Structure):
    """What FindFirstFileW tells of a file."""

    _fields_ = [
        *WIN32_FIND_DATAA._fields_[:8],
        ("cFileName", WCHAR * MAX_PATH),
        ("cAlternateFileName", WCHAR * 14),
    ]


tagRECT = _RECTL = RECTL = RECT
SMALL_RECT = _SMALL_RECT
tagPOINT = _POINTL = POINTL = POINT
tagSIZE = SIZEL = SIZE
_FILETIME = FILETIME
tagMSG = MSG

PBOOL = LPBOOL = POINTER(BOOL)
PBOOLEAN = POINTER(BOOLEAN)
PBYTE = LPBYTE = POINTER(BYTE)
PCHAR = POINTER(CHAR)
LPCOLORREF = POINTER(COLORREF)
PDWORD = LPDWORD = POINTER(DWORD)
PFILETIME = LPFILETIME = POINTER(FILETIME)
PFLOAT = POINTER(FLOAT)
PHANDLE = LPHANDLE = POINTER(HANDLE)
PHKEY = POINTER(HKEY)
LPHKL = POINTER(HKL)
PINT = LPINT = POINTER(INT)
PLARGE_INTEGER = POINTER(LARGE_INTEGER)
PLCID = POINTER(LCID)
PLONG = LPLONG = POINTER(LONG)
PMSG = LPMSG = POINTER(MSG)
PPOINT = LPPOINT = POINTER(POINT)
PPOINTL = POINTER(POINTL)
PRECT = LPRECT = POINTER(RECT)
PRECTL = LPRECTL = POINTER(RECTL)
LPSC_HANDLE = POINTER(SC_HANDLE)
PSHORT = POINTER(SHORT)
PSIZE = LPSIZE = POINTER(SIZE)
PSIZEL = LPSIZEL = POINTER(SIZEL)
PSMALL_RECT = POINTER(SMALL_RECT)
PUINT = LPUINT = POINTER(UINT)
PULARGE_INTEGER = POINTER(ULARGE_INTEGER)
PULONG = POINTER(ULONG)
PUSHORT = POINTER(USHORT)
PWCHAR = POINTER(WCHAR)
PWIN32_FIND_DATAA = LPWIN32_FIND_DATAA = POINTER(WIN32_FIND_DATAA)
PWIN32_FIND_DATAW = LPWIN32_FIND_DATAW = POINTER(WIN32_FIND_DATAW)
PWORD = LPWORD = POINTER(WORD)


def RGB(red: int, green: int, blue: int) -> int:
    """A COLORREF from three bytes."""
    return red + (green << 8) + (blue << 16)
