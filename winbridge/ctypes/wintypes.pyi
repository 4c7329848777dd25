from ctypes.wintypes import *
