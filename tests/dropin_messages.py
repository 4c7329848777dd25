# ruff: noqa: RUF012 - _fields_ as everybody writes it
"""Cases: windows that nobody sees, whose procedures are Python's, and their messages."""

from __future__ import annotations

import threading

from tests.dropin_registry import case, errors_of, outcome

HWND_MESSAGE = -3
WM_DESTROY, WM_TIMER, WM_USER, WM_NCCREATE, WM_CREATE, WM_SETTEXT = 2, 0x113, 0x400, 0x81, 1, 12


class Window:
    """A message-only window; ``handle(window, message, wparam, lparam)`` answers, None leaves it to Windows."""

    def __init__(self, c, name, handle):
        self.c = c
        self.user32 = user32 = c.WinDLL("user32", use_last_error=True)
        self.lresult = c.c_ssize_t
        self.procedure_type = c.WINFUNCTYPE(c.c_ssize_t, c.c_void_p, c.c_uint, c.c_size_t, c.c_ssize_t)
        user32.DefWindowProcW.argtypes = [c.c_void_p, c.c_uint, c.c_size_t, c.c_ssize_t]
        user32.SendMessageW.argtypes = user32.PostMessageW.argtypes = user32.DefWindowProcW.argtypes
        user32.DefWindowProcW.restype = user32.SendMessageW.restype = c.c_ssize_t
        user32.CreateWindowExW.restype = c.c_void_p
        pointers = c.c_void_p, c.c_void_p, c.c_void_p, c.c_void_p
        user32.CreateWindowExW.argtypes = [c.c_ulong, c.c_wchar_p, c.c_wchar_p, c.c_ulong, *[c.c_int] * 4, *pointers]
        user32.SetTimer.argtypes = [c.c_void_p, c.c_size_t, c.c_uint, c.c_void_p]
        user32.KillTimer.argtypes = [c.c_void_p, c.c_size_t]
        user32.SetTimer.restype = c.c_size_t
        user32.DestroyWindow.argtypes = [c.c_void_p]
        self.name = name
        self.procedure = self.procedure_type(self.answering(handle))
        self.atom = user32.RegisterClassW(c.byref(self.window_class()))
        self.handle = user32.CreateWindowExW(0, name, "a title", 0, 0, 0, 0, 0, HWND_MESSAGE, None, None, None)

    def answering(self, handle):
        def procedure(window, message, wparam, lparam):
            answer = handle(self, message, wparam, lparam)
            return self.user32.DefWindowProcW(window, message, wparam, lparam) if answer is None else answer

        return procedure

    def window_class(self):
        c, procedure_type = self.c, self.procedure_type

        class WNDCLASSW(c.Structure):
            _fields_ = [
                ("style", c.c_uint),
                ("lpfnWndProc", procedure_type),
                ("cbClsExtra", c.c_int),
                ("cbWndExtra", c.c_int),
                ("hInstance", c.c_void_p),
                ("hIcon", c.c_void_p),
                ("hCursor", c.c_void_p),
                ("hbrBackground", c.c_void_p),
                ("lpszMenuName", c.c_wchar_p),
                ("lpszClassName", c.c_wchar_p),
            ]

        return WNDCLASSW(lpfnWndProc=self.procedure, lpszClassName=self.name)

    def loop(self):
        """Messages until WM_QUIT; returns how many, and the exit code."""
        c, count = self.c, 0
        MSG = message_type(c)
        message = MSG()
        while self.user32.GetMessageW(c.byref(message), None, 0, 0) > 0:
            count += 1
            self.user32.TranslateMessage(c.byref(message))
            self.user32.DispatchMessageW(c.byref(message))
        return [count, message.wParam]

    def destroy(self):
        return [self.user32.DestroyWindow(self.handle), self.user32.UnregisterClassW(self.name, None)]


def message_type(c):
    class MSG(c.Structure):
        _fields_ = [("hwnd", c.c_void_p), ("message", c.c_uint), ("wParam", c.c_size_t), ("lParam", c.c_ssize_t),
                    ("time", c.c_ulong), ("x", c.c_long), ("y", c.c_long)]  # fmt: skip

    return MSG


@case
def sending_messages(c, dll):
    seen = []

    def handle(window, message, wparam, lparam):
        if message >= WM_USER:
            seen.append([message - WM_USER, wparam, lparam])
            return wparam + lparam
        return None

    window = Window(c, "winbridge sending", handle)
    send = window.user32.SendMessageW
    found = [
        bool(window.atom),
        bool(window.handle),
        send(window.handle, WM_USER + 1, 5, -7),
        send(window.handle, WM_USER + 2, 1, 2**31 - 1),
    ]
    return [*found, seen, window.destroy()]


@case
def messages_of_creating_and_destroying(c, dll):
    seen = []

    def handle(window, message, wparam, lparam):
        if message in (WM_NCCREATE, WM_CREATE):
            seen.append([message, c.cast(lparam, c.POINTER(c.c_void_p))[0] is None])
        if message == WM_SETTEXT:
            seen.append([message, c.wstring_at(lparam)])
        if message == WM_DESTROY:
            seen.append([message])
        return

    window = Window(c, "winbridge creating", handle)
    room = c.create_unicode_buffer(100)
    text = window.user32.SendMessageW
    text.argtypes = None
    text(c.c_void_p(window.handle), WM_SETTEXT, c.c_size_t(0), c.c_wchar_p("another title"))
    length = window.user32.GetWindowTextW(c.c_void_p(window.handle), room, 100)
    return [length, room.value, window.destroy(), seen]


@case
def posting_messages_and_quitting(c, dll):
    seen = []

    def handle(window, message, wparam, lparam):
        if message == WM_USER:
            seen.append([wparam, lparam])
            if wparam:
                window.user32.PostMessageW(window.handle, WM_USER, wparam - 1, lparam * 2)
            else:
                window.user32.PostQuitMessage(23)
            return 0
        return None

    window = Window(c, "winbridge posting", handle)
    posted = window.user32.PostMessageW(window.handle, WM_USER, 4, 1)
    return [posted, window.loop()[1], seen, window.destroy()]


@case
def timers(c, dll):
    seen = []

    def handle(window, message, wparam, lparam):
        if message == WM_TIMER:
            seen.append([wparam, lparam])
            if len(seen) == 3:
                window.user32.KillTimer(window.handle, 7)
                window.user32.PostQuitMessage(1)
            return 0
        return None

    window = Window(c, "winbridge timer", handle)
    set_timer = window.user32.SetTimer(window.handle, 7, 10, None)
    return [set_timer, window.loop()[1], seen, window.destroy()]


@case
def timers_with_a_function(c, dll):
    seen = []

    def tick(handle, message, identifier, time):
        seen.append([message, identifier == timer[0], time > 0])
        user32.KillTimer(None, c.c_size_t(identifier))
        user32.PostQuitMessage(2)

    user32 = c.WinDLL("user32")
    user32.SetTimer.restype = c.c_size_t
    function = c.WINFUNCTYPE(None, c.c_void_p, c.c_uint, c.c_size_t, c.c_ulong)(tick)
    timer = [user32.SetTimer(None, None, 10, function)]
    message = message_type(c)()
    while user32.GetMessageW(c.byref(message), None, 0, 0) > 0:
        user32.DispatchMessageW(c.byref(message))
    return [bool(timer[0]), message.wParam, seen]


@case
def structures_in_messages(c, dll):
    class Given(c.Structure):
        _fields_ = [("number", c.c_int), ("text", c.c_wchar_p)]

    seen = []

    def handle(window, message, wparam, lparam):
        if message == WM_USER:
            given = c.cast(lparam, c.POINTER(Given)).contents
            seen.append([given.number, given.text])
            given.number += 1
            return 1
        return None

    window = Window(c, "winbridge structures", handle)
    given = Given(5, "text \u20ac")
    result = window.user32.SendMessageW(window.handle, WM_USER, 0, c.addressof(given))
    return [result, given.number, seen, window.destroy()]


@case
def exceptions_in_window_procedures(c, dll):
    def handle(window, message, wparam, lparam):
        if message == WM_USER:
            raise LookupError("in a window procedure")
        return

    window = Window(c, "winbridge failing", handle)
    return [errors_of(lambda: window.user32.SendMessageW(window.handle, WM_USER, 0, 0)), window.destroy()]


@case
def messages_between_threads(c, dll):
    """The window lives in a thread of its own, with its loop; this one sends to it."""
    ready, found = threading.Event(), {}

    def handle(window, message, wparam, lparam):
        if message == WM_USER:
            return wparam * 10 + (threading.get_ident() == found["thread"])
        if message == WM_USER + 1:
            window.user32.PostQuitMessage(9)
            return 0
        return None

    def work():
        found["thread"] = threading.get_ident()
        window = found["window"] = Window(c, "winbridge threads", handle)
        ready.set()
        found["loop"] = window.loop()[1]
        found["destroyed"] = window.destroy()

    thread = threading.Thread(target=work)
    thread.start()
    ready.wait(30)
    window = found["window"]
    sent = [window.user32.SendMessageW(window.handle, WM_USER, index, 0) for index in (1, 2)]
    window.user32.PostMessageW(window.handle, WM_USER + 1, 0, 0)
    thread.join(30)
    return [sent, found["loop"], found["destroyed"]]


@case
def windows_that_cannot_be(c, dll):
    user32 = c.WinDLL("user32", use_last_error=True)
    user32.CreateWindowExW.restype = c.c_void_p
    made = user32.CreateWindowExW(0, "no such class of ours", "", 0, 0, 0, 0, 0, None, None, None, None)
    return [made, c.get_last_error(), outcome(lambda: c.WinError(c.get_last_error()).winerror)]
