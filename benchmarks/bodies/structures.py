"""The types of ``native/bench.c``. Declared where the contender's ctypes lives: with rpyc, on the other side."""


class Types:
    """Structures and function types over one implementation of ctypes."""

    def __init__(self, ctypes):
        class Cell(ctypes.Structure):
            _fields_ = [("column", ctypes.c_int), ("row", ctypes.c_int), ("value", ctypes.c_double)]  # noqa: RUF012

        class Channel(ctypes.Structure):
            _fields_ = [("count", ctypes.c_int), ("samples", ctypes.POINTER(ctypes.c_float))]  # noqa: RUF012

        class Recording(ctypes.Structure):
            _fields_ = [  # noqa: RUF012
                ("rate", ctypes.c_int),
                ("title", ctypes.c_char_p),
                ("left", ctypes.POINTER(Channel)),
                ("right", ctypes.POINTER(Channel)),
            ]

        self.Channel, self.Recording = Channel, Recording
        self.RecordingPointer = ctypes.POINTER(Recording)
        self.Visitor = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.POINTER(Cell))
