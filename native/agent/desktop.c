/* The desktop window of Wine, made before any thread serves on a stack that two processes could share.
 *
 * Up to Wine 9, user32 and gdi32 run Unix code of win32u on the stack of the thread that calls them. The first of
 * them that needs the desktop window starts explorer.exe: it forks, there and then. Of a stack in a shared segment the
 * child gets no copy; both processes would write into the same frames ("stack smashing detected" ends them).
 * Once the window is there, and as long as this process uses the desktop, nothing forks on a thread's stack.
 */
#include "agent.h"

int prepare_desktop(void)
{
    HMODULE user32 = LoadLibraryW(L"user32.dll");
    HWND(WINAPI *window)(void) = user32 ? (void *)GetProcAddress(user32, "GetDesktopWindow") : NULL;
    return window && window();
}
