/* A DLL whose initialisation fails. */
#include <windows.h>
BOOL WINAPI DllMain(HINSTANCE module, DWORD reason, void *reserved)
{ (void)module; (void)reason; (void)reserved; return FALSE; }
