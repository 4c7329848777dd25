/* A DLL whose DllMain waits for a thread, which cannot start before DllMain has returned. */
#include <windows.h>

static DWORD WINAPI nothing(void *unused) { (void)unused; return 0; }

BOOL WINAPI DllMain(HINSTANCE self, DWORD reason, void *unused)
{
    (void)self;
    (void)unused;
    if (reason == DLL_PROCESS_ATTACH) WaitForSingleObject(CreateThread(NULL, 0, nothing, NULL, 0, NULL), INFINITE);
    return TRUE;
}
