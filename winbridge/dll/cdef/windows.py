"""What is known without a header: the types of windows.h and of the C library's headers, in C.

Source: "Windows Data Types" and the structures' own pages (Microsoft Learn). Where ``wintypes`` has a class of the
name, that class is taken.
"""

from __future__ import annotations

DECLARATIONS = """
typedef void *HANDLE, *HACCEL, *HBITMAP, *HBRUSH, *HCOLORSPACE, *HCONV, *HCONVLIST, *HCURSOR, *HDC, *HDDEDATA,
    *HDESK, *HDROP, *HDWP, *HENHMETAFILE, *HFONT, *HGDIOBJ, *HGLOBAL, *HGLRC, *HHOOK, *HICON, *HINSTANCE, *HKEY,
    *HKL, *HLOCAL, *HMENU, *HMETAFILE, *HMODULE, *HMONITOR, *HPALETTE, *HPEN, *HRGN, *HRSRC, *HSTR, *HSZ, *HTASK,
    *HWINEVENTHOOK, *HWINSTA, *HWND, *SC_HANDLE, *SERVICE_STATUS_HANDLE, *HIMAGELIST, *HINTERNET;
typedef unsigned char BYTE, BOOLEAN, UCHAR, UINT8, byte, boolean, uint8_t, uint_least8_t;
typedef signed char INT8, int8_t, int_least8_t;
typedef unsigned short WORD, USHORT, ATOM, LANGID, UINT16, uint16_t, uint_least16_t;
typedef short SHORT, INT16, int16_t, int_least16_t;
typedef int INT, BOOL, INT32, HFILE, LONG32, int32_t, errno_t;
typedef unsigned int UINT, UINT32, DWORD32, ULONG32, ALG_ID, uint32_t;
typedef long LONG, HRESULT, NTSTATUS, LSTATUS, SCODE;
typedef unsigned long DWORD, ULONG, LCID, LCTYPE, LGRPID, COLORREF, ACCESS_MASK, REGSAM, SECURITY_INFORMATION;
typedef long long LONGLONG, LONG64, INT64, USN, int64_t, intmax_t, time_t, __time64_t;
typedef unsigned long long ULONGLONG, ULONG64, DWORD64, DWORDLONG, UINT64, QWORD, uint64_t, uintmax_t;
typedef long long LARGE_INTEGER;
typedef unsigned long long ULARGE_INTEGER;
typedef short VARIANT_BOOL;
typedef char CHAR, CCHAR;
typedef wchar_t WCHAR, OLECHAR;
typedef float FLOAT;
typedef double DOUBLE, DATE;
typedef ssize_t SSIZE_T, LONG_PTR, INT_PTR, LPARAM, LRESULT, intptr_t, ptrdiff_t;
typedef size_t SIZE_T, ULONG_PTR, UINT_PTR, DWORD_PTR, WPARAM, KAFFINITY, uintptr_t, rsize_t, SOCKET;
typedef void VOID, *PVOID, *LPVOID, *PVOID64;
typedef const void *LPCVOID, *PCVOID;
typedef CHAR *LPSTR, *PSTR, *NPSTR, *PCHAR, *LPCH, *PCH, *PSZ;
typedef const CHAR *LPCSTR, *PCSTR, *LPCCH, *PCCH;
typedef WCHAR *LPWSTR, *PWSTR, *NWPSTR, *PWCHAR, *LPWCH, *PWCH, *LPOLESTR, *OLESTR, *BSTR;
typedef const WCHAR *LPCWSTR, *PCWSTR, *LPCWCH, *PCWCH, *LPCOLESTR;
typedef TCHAR *LPTSTR, *PTSTR, *LPTCH, *PTCH;
typedef const TCHAR *LPCTSTR, *PCTSTR;
typedef BOOL *PBOOL, *LPBOOL;
typedef BOOLEAN *PBOOLEAN;
typedef BYTE *PBYTE, *LPBYTE;
typedef UCHAR *PUCHAR;
typedef COLORREF *LPCOLORREF;
typedef DWORD *PDWORD, *LPDWORD;
typedef FLOAT *PFLOAT;
typedef HANDLE *PHANDLE, *LPHANDLE;
typedef HKEY *PHKEY;
typedef HKL *LPHKL;
typedef SC_HANDLE *LPSC_HANDLE;
typedef INT *PINT, *LPINT;
typedef LARGE_INTEGER *PLARGE_INTEGER;
typedef ULARGE_INTEGER *PULARGE_INTEGER;
typedef LCID *PLCID;
typedef LONG *PLONG, *LPLONG;
typedef SHORT *PSHORT;
typedef UINT *PUINT, *LPUINT;
typedef ULONG *PULONG, *LPULONG;
typedef USHORT *PUSHORT;
typedef WORD *PWORD, *LPWORD;
typedef LONGLONG *PLONGLONG;
typedef ULONGLONG *PULONGLONG, *PDWORDLONG;
typedef INT8 *PINT8; typedef INT16 *PINT16; typedef INT32 *PINT32; typedef INT64 *PINT64;
typedef UINT8 *PUINT8; typedef UINT16 *PUINT16; typedef UINT32 *PUINT32; typedef UINT64 *PUINT64;
typedef DWORD32 *PDWORD32; typedef DWORD64 *PDWORD64;
typedef INT_PTR *PINT_PTR; typedef UINT_PTR *PUINT_PTR; typedef LONG_PTR *PLONG_PTR;
typedef ULONG_PTR *PULONG_PTR; typedef DWORD_PTR *PDWORD_PTR; typedef SIZE_T *PSIZE_T; typedef SSIZE_T *PSSIZE_T;
typedef void *va_list;
typedef struct _iobuf FILE;

typedef struct tagPOINT { LONG x; LONG y; } POINT, POINTL, _POINTL, *PPOINT, *LPPOINT, *PPOINTL;
typedef struct tagRECT { LONG left; LONG top; LONG right; LONG bottom; }
    RECT, RECTL, _RECTL, *PRECT, *LPRECT, *PRECTL, *LPRECTL;
typedef const RECT *LPCRECT;
typedef struct tagSIZE { LONG cx; LONG cy; } SIZE, SIZEL, *PSIZE, *LPSIZE, *PSIZEL, *LPSIZEL;
typedef struct _COORD { SHORT X; SHORT Y; } COORD, *PCOORD;
typedef struct _SMALL_RECT { SHORT Left; SHORT Top; SHORT Right; SHORT Bottom; } SMALL_RECT, *PSMALL_RECT;
typedef struct _FILETIME { DWORD dwLowDateTime; DWORD dwHighDateTime; } FILETIME, *PFILETIME, *LPFILETIME;
typedef struct tagMSG { HWND hWnd; UINT message; WPARAM wParam; LPARAM lParam; DWORD time; POINT pt; }
    MSG, *PMSG, *LPMSG;
typedef struct _WIN32_FIND_DATAA {
    DWORD dwFileAttributes; FILETIME ftCreationTime; FILETIME ftLastAccessTime; FILETIME ftLastWriteTime;
    DWORD nFileSizeHigh; DWORD nFileSizeLow; DWORD dwReserved0; DWORD dwReserved1;
    CHAR cFileName[260]; CHAR cAlternateFileName[14];
} WIN32_FIND_DATAA, *PWIN32_FIND_DATAA, *LPWIN32_FIND_DATAA;
typedef struct _WIN32_FIND_DATAW {
    DWORD dwFileAttributes; FILETIME ftCreationTime; FILETIME ftLastAccessTime; FILETIME ftLastWriteTime;
    DWORD nFileSizeHigh; DWORD nFileSizeLow; DWORD dwReserved0; DWORD dwReserved1;
    WCHAR cFileName[260]; WCHAR cAlternateFileName[14];
} WIN32_FIND_DATAW, *PWIN32_FIND_DATAW, *LPWIN32_FIND_DATAW;
typedef struct _SYSTEMTIME {
    WORD wYear; WORD wMonth; WORD wDayOfWeek; WORD wDay; WORD wHour; WORD wMinute; WORD wSecond; WORD wMilliseconds;
} SYSTEMTIME, *PSYSTEMTIME, *LPSYSTEMTIME;
typedef struct _GUID { DWORD Data1; WORD Data2; WORD Data3; BYTE Data4[8]; }
    GUID, UUID, IID, CLSID, FMTID, *LPGUID, *LPIID, *LPCLSID;
typedef const GUID *LPCGUID, *REFGUID, *REFIID, *REFCLSID, *REFFMTID;
typedef struct _SECURITY_ATTRIBUTES { DWORD nLength; LPVOID lpSecurityDescriptor; BOOL bInheritHandle; }
    SECURITY_ATTRIBUTES, *PSECURITY_ATTRIBUTES, *LPSECURITY_ATTRIBUTES;
typedef struct _OVERLAPPED {
    ULONG_PTR Internal; ULONG_PTR InternalHigh;
    union { struct { DWORD Offset; DWORD OffsetHigh; }; PVOID Pointer; };
    HANDLE hEvent;
} OVERLAPPED, *POVERLAPPED, *LPOVERLAPPED;
typedef struct _LIST_ENTRY { struct _LIST_ENTRY *Flink; struct _LIST_ENTRY *Blink; } LIST_ENTRY, *PLIST_ENTRY;
typedef struct _LUID { DWORD LowPart; LONG HighPart; } LUID, *PLUID;
typedef struct _RTL_CRITICAL_SECTION {
    void *DebugInfo; LONG LockCount; LONG RecursionCount; HANDLE OwningThread; HANDLE LockSemaphore;
    ULONG_PTR SpinCount;
} CRITICAL_SECTION, *PCRITICAL_SECTION, *LPCRITICAL_SECTION;
typedef struct _PROCESS_INFORMATION { HANDLE hProcess; HANDLE hThread; DWORD dwProcessId; DWORD dwThreadId; }
    PROCESS_INFORMATION, *PPROCESS_INFORMATION, *LPPROCESS_INFORMATION;

typedef INT_PTR (__stdcall *FARPROC)();
typedef INT_PTR (__stdcall *PROC)();
typedef LRESULT (__stdcall *WNDPROC)(HWND, UINT, WPARAM, LPARAM);
typedef INT_PTR (__stdcall *DLGPROC)(HWND, UINT, WPARAM, LPARAM);
typedef LRESULT (__stdcall *HOOKPROC)(int, WPARAM, LPARAM);
typedef BOOL (__stdcall *WNDENUMPROC)(HWND, LPARAM);
typedef void (__stdcall *TIMERPROC)(HWND, UINT, UINT_PTR, DWORD);
typedef DWORD (__stdcall *LPTHREAD_START_ROUTINE)(LPVOID);
typedef DWORD (__stdcall *PTHREAD_START_ROUTINE)(LPVOID);
typedef BOOL (__stdcall *PHANDLER_ROUTINE)(DWORD);
"""


def text(unicode: bool) -> str:
    """The declarations.

    Args:
        unicode: whether TCHAR is a wide character.
    """
    return f"typedef {'wchar_t' if unicode else 'char'} TCHAR;\n{DECLARATIONS}"
