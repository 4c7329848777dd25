# ruff: noqa: F403 - all names of the standard module
from ctypes.wintypes import *
