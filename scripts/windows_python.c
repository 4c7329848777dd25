/* python.exe for the parity tests: the wheels that windows_python.py unpacks bring Python's DLL but no program. */
#include <stdio.h>
#include <windows.h>

typedef int (*python_main)(int argc, wchar_t **argv);

int wmain(int argc, wchar_t **argv)
{
    HMODULE python = LoadLibraryW(L"python311.dll");
    python_main run = python ? (python_main)(void *)GetProcAddress(python, "Py_Main") : NULL;
    if (!run) {
        fprintf(stderr, "cannot load python311.dll: Windows error %lu\n", GetLastError());
        return 127;
    }
    return run(argc, argv);
}
