/* stdcall functions that decorated-win32.def exports with the bytes of their arguments, as MSVC's linker does on x86. */
int __stdcall difference(int a, int b) { return a - b; }
int __stdcall nothing(void) { return 17; }
double __stdcall widths(char a, double b, long long c) { return a + b + (double)c; }
