__declspec(dllexport) int lend(void) { return 41; }
