/* A DLL that needs another one, which the tests take away. */
__declspec(dllimport) int lend(void);
__declspec(dllexport) int borrow(void) { return lend() + 1; }
