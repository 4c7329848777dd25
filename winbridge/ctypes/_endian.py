"""``ctypes._endian``: where some programs look for the structures with a byte order."""

import winbridge.ctypes as _ctypes
from winbridge.ctypes.aggregates import other_endian as _other_endian

_OTHER_ENDIAN = "__ctype_be__"
_swapped_meta = type(_ctypes.BigEndianStructure)

BigEndianStructure = _ctypes.BigEndianStructure
BigEndianUnion = _ctypes.BigEndianUnion
LittleEndianStructure = _ctypes.LittleEndianStructure
LittleEndianUnion = _ctypes.LittleEndianUnion

__all__ = ["BigEndianStructure", "BigEndianUnion", "LittleEndianStructure", "LittleEndianUnion", "_other_endian"]
