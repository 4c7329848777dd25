"""CPython's own tests of ctypes, run under a Windows Python and under winbridge's drop-in, and compared."""
