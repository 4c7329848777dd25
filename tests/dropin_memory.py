# ruff: noqa: RUF012 - _fields_ as everybody writes it
"""Cases: memory that Python and the DLL both hold, without a word said about who reads or writes it."""

from __future__ import annotations

import gc
import itertools
import operator
import weakref

from tests.dropin_registry import alone, case, outcome, point_type, prototyped


def node_type(c):
    class Node(c.Structure):
        pass

    Node._fields_ = [("value", c.c_int), ("next", c.POINTER(Node))]
    return Node


def chain(c, Node, *values):
    """A list of nodes, each of which its predecessor keeps alive."""
    head = None
    for value in reversed(values):
        head = Node(value, c.pointer(head) if head is not None else None)
    return head


def values_of(node):
    found = [node.value]
    while node.next:
        node = node.next.contents
        found.append(node.value)
    return found


@case
def pointers_to_pointers(c, dll):
    number = c.c_int(5)
    one = c.pointer(number)
    two = c.pointer(one)
    three = c.pointer(two)
    read = prototyped(dll.through_three, c.c_int, c.POINTER(c.POINTER(c.POINTER(c.c_int))))
    write = prototyped(dll.set_through_three, None, c.POINTER(c.POINTER(c.POINTER(c.c_int))), c.c_int)
    before = read(three)
    write(c.byref(two), 6)
    other = c.c_int(70)
    two.contents.contents = other
    return [
        before,
        number.value,
        read(three),
        three[0][0][0],
        one.contents.value,
        three.contents.contents.contents.value,
    ]


@case
def aiming_a_pointer(c, dll):
    place, target = c.POINTER(c.c_int)(), c.c_int(42)
    prototyped(dll.aim, None, c.POINTER(c.POINTER(c.c_int)), c.POINTER(c.c_int))
    empty = bool(place)
    dll.aim(c.byref(place), c.byref(target))
    place[0] += 1
    dll.aim(place_of := c.pointer(place), None)
    return [empty, target.value, bool(place), outcome(lambda: place_of.contents[0]), outcome(lambda: place.contents)]


@case
def arrays_of_pointers(c, dll):
    numbers = [c.c_int(index) for index in range(5)]
    array = (c.POINTER(c.c_int) * 5)(*[c.pointer(number) for number in numbers])
    dll.aim(c.byref(array[2]), c.byref(numbers[4]))  # a copy of the pointer would not do
    array[2][0] = 99
    array[3].contents.value = 33
    return [[number.value for number in numbers], [pointer[0] for pointer in array]]


@case
def char_pp(c, dll):
    texts = (c.c_char_p * 4)(b"one", b"three", None, b"")
    length = prototyped(dll.total_length, c.c_int, c.POINTER(c.c_char_p), c.c_int)
    before = length(texts, 4)
    texts[2] = b"a new one"
    return [before, length(texts, 4), repr(list(texts)), repr(c.cast(texts, c.POINTER(c.c_char_p))[1])]


@case
def char_pp_changed_by_c(c, dll):
    buffers = [c.create_string_buffer(text) for text in (b"abc", b"defg")]
    texts = (c.c_char_p * 2)(*[c.cast(buffer, c.c_char_p) for buffer in buffers])
    prototyped(dll.upper_all, None, c.c_void_p, c.c_int)(texts, 2)
    return [[buffer.value for buffer in buffers] == [b"ABC", b"DEFG"], [text.decode() for text in texts]]


@case
def char_pp_of_c(c, dll):
    get = prototyped(dll.get_names, c.POINTER(c.c_char_p))
    out = c.POINTER(c.c_char_p)()
    dll.set_names(c.byref(out))
    names = get()
    found = [name.decode() for name in names[:3]]
    before, names[1] = names[1], b"replaced"
    again = [name and name.decode() for name in out[:4]]
    names[1] = before
    return [found, again, c.addressof(names.contents) == c.addressof(out.contents)]


@case
def wide_pp(c, dll):
    texts = (c.c_wchar_p * 3)("one", "\u20ac\U0001f600", None)
    return [prototyped(dll.total_width, c.c_int, c.POINTER(c.c_wchar_p))(texts), texts[1], list(texts)]


@case
def lists_built_in_python(c, dll):
    Node = node_type(c)
    add = prototyped(dll.list_sum, c.c_int, c.POINTER(Node))
    head = chain(c, Node, 1, 2, 3, 4)
    gc.collect()
    before = add(head)
    prototyped(dll.list_double, None, c.POINTER(Node))(head)
    return [before, add(c.byref(head)), add(c.pointer(head)), values_of(head), add(None)]


@case
def lists_extended_by_c(c, dll):
    Node = node_type(c)
    head = chain(c, Node, 1, 2)
    prototyped(dll.list_extend, None, c.POINTER(Node))(head)
    extended = values_of(head)
    tail = prototyped(dll.list_last, c.POINTER(Node), c.POINTER(Node))(head)
    own = Node(300, None)
    tail[0].next = c.pointer(own)
    tail.contents.value = 201
    longer = values_of(head)
    tail.contents.next = None
    return [extended, longer, prototyped(dll.list_sum, c.c_int, c.POINTER(Node))(head)]


@case
def lists_reversed_by_c(c, dll):
    Node = node_type(c)
    nodes = [Node(index) for index in range(4)]
    for node, after in itertools.pairwise(nodes):
        node.next = c.pointer(after)
    reverse = prototyped(dll.list_reverse, c.POINTER(Node), c.POINTER(Node))
    head = reverse(nodes[0])
    return [
        values_of(head.contents),
        values_of(nodes[2]),
        c.addressof(head.contents) == c.addressof(nodes[3]),
        bool(nodes[0].next),
    ]


@case
def cycles(c, dll):
    Node = node_type(c)
    nodes = [Node(index) for index in range(3)]
    for index, node in enumerate(nodes):
        node.next = c.pointer(nodes[(index + 1) % 3])
    length = prototyped(dll.cycle_length, c.c_int, c.POINTER(Node))
    alone = Node(9)
    alone.next = c.pointer(alone)
    return [
        length(nodes[1]),
        length(alone),
        nodes[0].next[0].next[0].next[0].value,
        alone.next.contents.next.contents.value,
    ]


@case
def structures_with_pointers(c, dll):
    Point = point_type(c)

    class Line(c.Structure):
        _fields_ = [("from_", c.POINTER(Point)), ("to", c.POINTER(Point)), ("middle", Point)]

    a, b = Point(1, 2), Point(10, 20)
    line = Line(c.pointer(a), c.pointer(b))
    length = prototyped(dll.line_length, c.c_int, c.POINTER(Line))(line)
    prototyped(dll.line_turn, None, c.POINTER(Line))(line)
    line.from_.contents.y = 5
    line.to[0] = Point(3, 4)
    return [
        length,
        [a.x, a.y],
        [b.x, b.y],
        line.middle.x,
        line.to.contents.x,
        c.addressof(line.to.contents) == c.addressof(a),
    ]


@case
def unions_with_pointers(c, dll):
    class Target(c.Union):
        _fields_ = [
            ("ints", c.POINTER(c.c_int)),
            ("doubles", c.POINTER(c.c_double)),
            ("text", c.c_char_p),
            ("number", c.c_ssize_t),
        ]

    read = prototyped(dll.read_target, c.c_double, c.POINTER(Target), c.c_char)
    write = prototyped(dll.write_target, None, Target, c.c_char)
    whole, real = c.c_int(3), c.c_double(2.5)
    target = Target(ints=c.pointer(whole))
    found = [read(target, b"i"), target.number == c.addressof(whole)]
    write(target, b"i")
    target.doubles = c.pointer(real)
    found += [read(target, b"d"), whole.value]
    write(target, b"d")
    target.text = b"seven c"
    return [*found, real.value, read(target, b"s"), target.text.decode()]


def operations_type(c):
    class Operations(c.Structure):
        _fields_ = [
            ("apply", c.CFUNCTYPE(c.c_int, c.c_int, c.c_int)),
            ("change", c.WINFUNCTYPE(c.c_int, c.c_int)),
            ("name", c.c_char_p),
        ]

    return Operations


@case
def functions_in_structures_called_by_c(c, dll):
    Operations = operations_type(c)
    apply, change = dict(Operations._fields_)["apply"], dict(Operations._fields_)["change"]
    given = Operations(apply(lambda a, b: a - b), change(lambda a: a * 100), b"of Python")
    gc.collect()
    use = prototyped(dll.use_operations, c.c_int, c.POINTER(Operations), c.c_int, c.c_int)
    first = use(given, 9, 4)
    given.apply = apply(lambda a, b: a + b)
    return [first, use(given, 9, 4), given.apply(1, 2), given.change(3)]


@case
def functions_in_structures_from_c(c, dll):
    operations = operations_type(c)()
    empty = bool(operations.apply), bool(operations.change)
    prototyped(dll.get_operations, None, c.c_void_p)(c.byref(operations))
    use = prototyped(dll.use_operations, c.c_int, c.c_void_p, c.c_int, c.c_int)
    found = [operations.apply(6, 7), operations.change(5), operations.name.decode(), use(c.byref(operations), 2, 3)]
    operations.change = type(operations.change)(lambda a: a + 1)
    return [empty, *found, use(c.byref(operations), 2, 3), outcome(operations.apply, "x", 1)]


@case
def function_pointers_as_results(c, dll):
    kind = c.CFUNCTYPE(c.c_int, c.c_int, c.c_int)
    get = prototyped(dll.get_function, kind, c.c_int)
    multiply, nothing = get(1), get(0)
    use = prototyped(dll.call_with, c.c_int, kind, c.c_int, c.c_int)
    same = prototyped(dll.same_function, kind, kind)
    ours = kind(lambda a, b: a * 1000 + b)
    back = same(ours)
    return [
        multiply(6, 7),
        bool(nothing),
        use(multiply, 3, 4),
        use(ours, 3, 4),
        back(5, 6),
        use(back, 7, 8),
        outcome(use, max, 1, 2),
        c.cast(back, c.c_void_p).value == c.cast(ours, c.c_void_p).value,
    ]


@case
def functions_of_the_dll_as_arguments(c, dll):
    use = dll.call_with
    kind = c.CFUNCTYPE(c.c_int, c.c_int, c.c_int)
    address = c.cast(dll.two_cdecl, c.c_void_p).value
    return [
        use(dll.two_cdecl, 3, 4),
        use(c.cast(dll.two_cdecl, kind), 5, 6),
        kind(address)(7, 8),
        c.cast(address, kind)(9, 1),
    ]


@case
def calling_null(c, dll):
    return [outcome(c.CFUNCTYPE(c.c_int)()), outcome(c.CFUNCTYPE(c.c_int)(0))]


@case
def cast_views(c, dll):
    numbers = (c.c_int * 4)(1, 2, 3, 4)
    as_bytes = c.cast(numbers, c.POINTER(c.c_ubyte))
    as_longs = c.cast(numbers, c.POINTER(c.c_longlong))
    as_array = c.cast(numbers, c.POINTER(c.c_short * 8)).contents
    as_bytes[4] = 200
    as_longs[1] = (7 << 32) + 6
    dll.fill_ints(c.byref(numbers, 4), 1, 2**24 + 3)
    return [
        list(numbers),
        as_bytes[:16:4],
        list(as_array),
        c.cast(as_bytes, c.POINTER(c.c_int))[1],
        len(c.cast(numbers, c.c_char_p).value),
    ]


@case
def casts_that_do_not_go(c, dll):
    numbers = (c.c_int * 2)()
    return [outcome(c.cast, numbers, kind) for kind in (c.c_int, int, c.c_int * 2, "x")] + [
        outcome(c.cast, value, c.c_void_p) for value in (1.5, [], c.c_int(1), None)
    ]


@case
def byref_with_offset(c, dll):
    numbers = (c.c_int * 6)(*range(6))
    add = dll.sum_ints
    dll.fill_ints(c.byref(numbers, 8), 2, 50)
    typed = prototyped(c.CDLL(dll._name).sum_ints, c.c_int, c.c_void_p, c.c_int)
    return [
        add(c.byref(numbers, 4), 3),
        typed(c.byref(numbers, 20), 1),
        list(numbers),
        outcome(c.byref, 5),
        outcome(c.byref, numbers, "x"),
    ]


@case
def pointers_into_the_middle(c, dll):
    numbers = (c.c_int * 6)(5, 4, 3, 2, 1, 0)
    find = prototyped(dll.find_int, c.POINTER(c.c_int), c.POINTER(c.c_int), c.c_int)
    middle = find(numbers, 3)
    middle[1] = 77
    middle[-1] = 44
    return [middle[-2:4], list(numbers), dll.sum_ints(middle, 2), dll.same(middle, c.byref(numbers, 8)), middle[0]]


@case
def strings_found_in_strings(c, dll):
    room = c.create_string_buffer(b"path/file")
    find = prototyped(dll.find_char, c.c_char_p, c.c_char_p, c.c_char)
    raw = prototyped(c.CDLL(dll._name).find_char, c.POINTER(c.c_char), c.POINTER(c.c_char), c.c_char)
    pointer = raw(room, b"/")
    pointer[0] = b"\\"
    return [
        find(room, b"f").decode(),
        find(b"some text", b"t").decode(),
        find(b"abc", b"z"),
        room.value.decode(),
        pointer[:5].decode(),
    ]


@case
def same_object_twice(c, dll):
    number = c.c_int(4)
    pointer = c.pointer(number)
    buffer = c.create_string_buffer(4)
    same = prototyped(c.CDLL(dll._name).same, c.c_int, c.c_void_p, c.c_void_p)
    return [
        dll.add_then_multiply(c.byref(number), pointer),
        number.value,
        same(buffer, c.byref(buffer)),
        dll.same(pointer, pointer.contents and c.byref(number)),
        same(b"constant", b"constant"),
        number.value,
    ]


@case
def objects_that_the_dll_keeps(c, dll):
    number = c.c_int(5)
    numbers = (c.c_int * 3)(1, 2, 3)
    dll.keep_int(c.byref(number))
    number.value = 6
    first = dll.read_kept()
    dll.write_kept(70)
    dll.keep_int(c.byref(numbers, 4))
    dll.write_kept(20)
    return [first, number.value, list(numbers), dll.read_kept()]


@case
def objects_written_by_a_thread_later(c, dll):
    Point = point_type(c)
    point, number = Point(1, 2), c.c_int(3)
    dll.prepare_writer(c.byref(point, 4), 55)
    before = point.y
    written = dll.let_write()
    dll.prepare_writer(c.byref(number), 66)
    return [before, written, point.y, dll.let_write(), number.value]


@case
def strings_that_the_dll_keeps(c, dll):
    first, second, wide = b"kept bytes", c.c_char_p(b"kept c_char_p"), c.c_wchar_p("kept text \u20ac")
    get, get_wide = prototyped(dll.get_kept_text, c.c_char_p), prototyped(dll.get_kept_wide, c.c_wchar_p)
    found = []
    dll.keep_text(first)
    gc.collect()
    found += [get().decode(), dll.kept_length()]
    dll.keep_text(second)
    found += [get().decode(), dll.kept_length()]
    dll.keep_wide(wide)
    found.append(get_wide())
    room = c.create_string_buffer(b"changed later", 40)
    dll.keep_text(room)
    room.value = b"has been changed"
    prototyped(dll.keep_text, None, c.c_char_p)
    found += [get().decode(), dll.kept_length()]
    dll.keep_text(first)
    return [*found, get() == first]


@case
def pointers_that_come_back(c, dll):
    get = prototyped(dll.get_table, c.POINTER(c.c_int), c.c_int)
    table, later = get(0), get(3)
    found = [
        table[0],
        table[7],
        table[2:5],
        later[-1],
        later.contents.value,
        c.addressof(later.contents) - c.addressof(table.contents),
    ]
    table[1] = 500
    later.contents.value = 600
    later[1] += 1000
    found += [dll.table_at(1), dll.table_at(3), dll.table_at(4), dll.same(table, get(0)), dll.sum_ints(later, 2)]
    array = c.cast(table, c.POINTER(c.c_int * 8)).contents
    found.append(list(array))
    array[:] = range(8)
    found += [table[:8], later[0], c.string_at(later, 8).hex()]
    c.memset(later, 0, 4)
    c.memmove(table, c.byref(later, 0) and get(6), 8)
    found += [table[:8], later == later, bool(later)]
    dll.reset_table()
    return [*found, table[:3], list(array)]


@case
def strings_that_come_back(c, dll):
    text = prototyped(dll.get_text, c.POINTER(c.c_char))()
    wide = prototyped(dll.get_wide_text, c.POINTER(c.c_wchar))()
    found = [
        text[:11].decode(),
        c.string_at(text).decode(),
        c.string_at(text, 6).decode(),
        text[0].decode(),
        wide[:9],
        c.wstring_at(wide),
        c.wstring_at(wide, 3),
    ]
    text[6] = b"\0"
    found += [
        dll.text_length(),
        c.string_at(text).decode(),
        c.cast(text, c.c_char_p).value.decode(),
        text[0:8:2].decode(),
    ]
    plain = prototyped(c.CDLL(dll._name).get_text, c.c_char_p)()
    address = prototyped(c.CDLL(dll._name).get_text, c.c_void_p)()
    c.memmove(address, b"moved", 5)
    return [
        *found,
        plain.decode(),
        c.string_at(address).decode(),
        dll.text_length(),
        (c.c_char * 5).from_address(address).value.decode(),
    ]


@case
def pointers_compared(c, dll):
    number = c.c_int(3)
    one, two = c.pointer(number), c.pointer(number)
    return [
        one == two,
        one != two,
        one == one,
        one.contents is one.contents,
        c.addressof(one.contents) == c.addressof(number),
        bool(c.POINTER(c.c_int)()),
        outcome(lambda: one < two),
        outcome(len, one),
        outcome(lambda: one["x"]),
    ]


def assigned(pointer, index):
    pointer[index] = 1


@case
def pointer_slices(c, dll):
    numbers = (c.c_int * 6)(*range(6))
    pointer = c.cast(numbers, c.POINTER(c.c_int))
    slices = (
        slice(1, 4),
        slice(None, 3),
        slice(5, 0, -2),
        slice(2, None),
        slice(None, 3, -1),
        slice(0, 4, 0),
        slice(3, 1),
    )
    return [outcome(operator.getitem, pointer, each) for each in slices] + [
        outcome(assigned, pointer, slice(0, 1)),
        outcome(assigned, pointer, "x"),
    ]


@case
def bad_addresses(c, dll):
    ways = [
        (dll.crash, 16), (dll.crash, None), (c.string_at, 40), (c.wstring_at, 48), (c.string_at, 80, 4),
        (c.memmove, 56, b"xy", 2), (c.memset, 64, 0, 2), (dll.list_sum, 8), (dll.fill_ints, c.c_void_p(24), 1, 1),
    ]  # fmt: skip
    found = [outcome(*way) for way in ways]
    return [[[each["error"], each["text"]] for each in found], dll.two_cdecl(1, 2)]


def fault(doing, address):
    return ["OSError", f"exception: access violation {doing} 0x{address:x}"]


@alone(
    [fault("reading", 24), fault("reading", 32), fault("reading", 32), fault("writing", 32), fault("reading", 72), 12]
)
def bad_addresses_in_python(c, dll):
    """These end a Windows Python."""
    text, pointer = c.c_char_p(24), c.cast(32, c.POINTER(c.c_int))
    ways = [
        lambda: text.value, lambda: pointer[0], lambda: pointer.contents.value, lambda: assigned(pointer, 0),
        lambda: c.c_int.from_address(72).value,
    ]  # fmt: skip
    found = [outcome(way) for way in ways]
    return [
        *[[each["error"], each["text"].replace("0x00000000", "0x").replace("0x000000", "0x")] for each in found],
        dll.two_cdecl(1, 2),
    ]


@case
def null_pointers(c, dll):
    pointer, text, void = c.POINTER(c.c_int)(), c.c_char_p(), c.c_void_p()
    return [
        outcome(lambda: pointer[0]),
        outcome(lambda: pointer.contents),
        outcome(lambda: pointer.__setitem__(0, 1)),
        text.value,
        void.value,
        bool(text),
        bool(void),
        outcome(c.string_at, None),
        outcome(c.string_at, 0, 0),
        repr(text),
        repr(void),
    ]


@case
def what_a_pointer_keeps_alive(c, dll):
    Point = point_type(c)
    pointers = [c.pointer(Point(index, -index)) for index in range(50)]
    array = (c.POINTER(Point) * 50)(*pointers)
    del pointers
    gc.collect()
    filler = [Point(7777, 7777) for _ in range(200)]
    return [[pointer.contents.x for pointer in array] == list(range(50)), len(filler)]


@case
def parts_share_memory(c, dll):
    Point = point_type(c)

    class Path(c.Structure):
        _fields_ = [("count", c.c_int), ("points", Point * 3), ("names", c.c_char * 4 * 2)]

    path = Path(3)
    middle = path.points[1]
    prototyped(dll.fill_ints, None, c.c_void_p, c.c_int, c.c_int)(c.byref(middle), 2, 8)
    path.names[1].value = b"xyz"
    dll.fill_ints(c.byref(path, Path.points.offset), 1, 4)
    return [
        middle.x,
        path.points[1].y,
        path.points[0].x,
        path.names[1].value.decode(),
        bytes(path).hex(),
        path._b_base_,
        middle._b_base_ is not None,
    ]


@case
def buffers_of_other_objects(c, dll):
    store = bytearray(16)
    numbers = (c.c_int * 4).from_buffer(store)
    dll.fill_ints(numbers, 4, 1)
    copied = (c.c_int * 4).from_buffer_copy(store)
    store[0] = 9
    return [
        store.hex(),
        numbers[0],
        dll.sum_ints(numbers, 4),
        copied[0],
        outcome((c.c_int * 5).from_buffer, store),
        outcome(c.c_int.from_buffer, b"1234"),
        memoryview(numbers).nbytes,
        bytes(numbers).hex(),
    ]


@case
def big_endian_structures(c, dll):
    class Big(c.BigEndianStructure):
        _fields_ = [("a", c.c_int), ("b", c.c_short), ("c", c.c_double)]

    big = Big(1, 2, 1.5)
    dll.fill_ints(c.byref(big), 1, 0x01020304)
    return [bytes(big).hex(), big.a, big.b, big.c]


@case
def bit_fields_shared(c, dll):
    class Bits(c.Structure):
        _fields_ = [("a", c.c_int, 3), ("b", c.c_uint, 5), ("c", c.c_int, 24), ("d", c.c_int)]

    bits = Bits(-2, 17, -5, 3)
    total = dll.sum_ints(c.byref(bits), 1)
    dll.fill_ints(c.byref(bits), 2, 0x12345678)
    return [c.sizeof(Bits), total, bits.a, bits.b, bits.c, bits.d]


@case
def resized(c, dll):
    numbers = (c.c_int * 2)(1, 2)
    c.resize(numbers, 24)
    dll.fill_ints(numbers, 6, 30)
    return [c.sizeof(numbers), list(numbers), dll.sum_ints(numbers, 6), outcome(c.resize, numbers, 4)]


@case
def wide_buffers(c, dll):
    room = c.create_unicode_buffer("a\U0001f600b", 8)
    length = c.windll.kernel32.lstrlenW(room)
    c.windll.kernel32.lstrcatW(room, "\u20ac")
    return [
        length,
        room.value,
        room[:],
        len(room),
        c.sizeof(room),
        outcome(setattr, room, "value", "123456789"),
        room[1:3],
    ]


def allocated(c, size):
    """The address of memory that Windows made."""
    allocate = prototyped(c.WinDLL("kernel32").VirtualAlloc, c.c_void_p, c.c_void_p, c.c_size_t, c.c_ulong, c.c_ulong)
    return allocate(None, size, 0x3000, 4)


@case
def structures_in_the_memory_of_windows(c, dll):
    Point = point_type(c)

    class Inner(c.Structure):
        _fields_ = [("text", c.c_char * 8), ("wide", c.c_wchar * 4), ("bits", c.c_uint, 5), ("more", c.c_uint, 9)]

    class Outer(c.Structure):
        _fields_ = [
            ("points", Point * 2),
            ("inner", Inner),
            ("where", c.POINTER(Point)),
            ("real", c.c_double),
            ("name", c.c_char_p),
        ]

    address = allocated(c, 4096)
    outer = Outer.from_address(address)
    found = [bytes(outer) == bytes(c.sizeof(Outer)), c.addressof(outer) == address, outer.name]
    outer.points[1] = Point(3, 4)
    outer.points[0].y = 2
    outer.inner.text = b"abc"
    outer.inner.wide = "\u20acx"
    outer.inner.bits, outer.inner.more = 17, 300
    outer.where = c.pointer(outer.points[1])
    outer.real, outer.name = 2.5, b"kept"
    outer.where.contents.x += 10
    again = c.cast(address, c.POINTER(Outer))
    copy = Outer.from_buffer_copy(bytes(outer))
    again[1] = copy
    again[1].points[0].x = 99
    inner = again[1].inner
    found += [
        dll.sum_ints(c.c_void_p(address), 4),
        dll.sum_ints(c.byref(outer, 8), 2),
        outer.where[0].x,
        inner.text.decode(),
        inner.wide,
    ]
    return [
        *found,
        inner.bits,
        inner.more,
        again[1].real,
        again.contents.name.decode(),
        again[1].points[0].x,
        outer.points[0].x,
        copy.points[1].x,
    ]


@case
def arrays_in_the_memory_of_windows(c, dll):
    address = allocated(c, 65536)
    numbers = (c.c_int * 16).from_address(address)
    numbers[:4] = [1, 2, 3, 4]
    numbers[-1] = 7
    table = (c.c_int * 4 * 4).from_address(address)
    table[1][2] = 66
    text = (c.c_wchar * 20).from_address(address + 100)
    text.value = "wide \u20ac"
    c.memmove(address + 200, b"bytes\0", 6)
    row = table[1]
    dll.fill_ints(row, 2, 40)
    return [
        list(numbers),
        [list(each) for each in table],
        text.value,
        text[:3],
        c.string_at(address + 200).decode(),
        dll.sum_ints(numbers, 16),
        len(numbers),
        row[1],
    ]


@case
def buffers_in_the_memory_of_windows(c, dll):
    import io
    import struct

    numbers = (c.c_int * 8).from_address(allocated(c, 4096))
    memoryview(numbers).cast("B")[0:4] = b"\1\0\0\0"
    struct.pack_into("<i", numbers, 4, 20)
    io.BytesIO(b"\0\0\0\0\7\0\0\0").readinto(memoryview(numbers).cast("B")[4:])
    added = dll.sum_ints(numbers, 8)
    dll.fill_ints(numbers, 8, 1)
    view = memoryview(numbers).cast("B")
    return [added, bytes(view[:8]).hex(), bytes(numbers).hex() == view.hex(), struct.unpack_from("<2i", numbers, 24)]


@case
def buffers_of_our_own(c, dll):
    import io
    import struct

    numbers = (c.c_int * 4)()
    view = memoryview(numbers).cast("B")
    struct.pack_into("<4i", numbers, 0, 1, 2, 3, 4)
    added = dll.sum_ints(numbers, 4)
    io.BytesIO(b"\xff\xff\xff\xff").readinto(view[8:12])
    dll.fill_ints(c.byref(numbers, 4), 1, 50)
    room = c.create_string_buffer(8)
    room.raw = b"12345678"
    room[2:4] = b"ab"
    return [
        added,
        view.hex(),
        list(numbers),
        room.raw.decode(),
        bytes(room[1:7:2]).decode(),
        outcome(setattr, room, "value", b"123456789"),
    ]


@case
def objects_as_user_data(c, dll):
    """The way to hand a Python object through a DLL to a callback."""
    given = ["a list"]
    kind = c.CFUNCTYPE(c.c_void_p, c.py_object)
    through = prototyped(dll.through_void_p_c, c.c_void_p, kind, c.py_object)
    seen = []
    through(kind(lambda value: seen.append(value is given)), given)
    through(kind(lambda value: value.append("more")), c.py_object(given))
    return [seen, given, outcome(lambda: c.py_object().value)]


@case
def identities_as_user_data(c, dll):
    """The other way: ``id``, and ``cast`` in the callback."""
    given = ["a list"]
    kind = c.CFUNCTYPE(c.c_void_p, c.c_void_p)
    through = prototyped(dll.through_void_p_c, c.c_void_p, kind, c.c_void_p)
    through(kind(lambda value: c.cast(value, c.py_object).value.append("more")), id(given))
    return given


@case
def handles_and_addresses(c, dll):
    kernel32 = c.WinDLL("kernel32")
    get = prototyped(kernel32.GetProcAddress, c.c_void_p, c.c_void_p, c.c_char_p)
    name = prototyped(kernel32.GetModuleFileNameW, c.c_ulong, c.c_void_p, c.c_wchar_p, c.c_ulong)
    address = get(dll._handle, b"two_cdecl")
    room = c.create_unicode_buffer(300)
    length = name(dll._handle, room, 300)
    return [
        c.CFUNCTYPE(c.c_int, c.c_int, c.c_int)(address)(3, 4),
        address == c.cast(dll.two_cdecl, c.c_void_p).value,
        get(dll._handle, b"none"),
        length == len(room.value),
        room.value.lower().endswith("dropin.dll"),
        outcome(kernel32.GetProcAddress, "x", 5, 7),
    ]


@case
def out_parameters_of_every_kind(c, dll):
    """What Windows' functions fill: numbers, handles, structures, buffers with their sizes."""

    class FileTime(c.Structure):
        _fields_ = [("low", c.c_ulong), ("high", c.c_ulong)]

    class SystemTime(c.Structure):
        _fields_ = [
            (name, c.c_ushort)
            for name in ("year", "month", "weekday", "day", "hour", "minute", "second", "milliseconds")
        ]

    kernel32 = c.windll.kernel32
    made, back = FileTime(), SystemTime()
    done = kernel32.SystemTimeToFileTime(c.byref(SystemTime(2024, 2, 0, 29, 12, 30, 15, 250)), c.byref(made))
    kernel32.FileTimeToSystemTime(c.pointer(made), c.byref(back))
    size = c.c_ulong(1)
    room = c.create_unicode_buffer(260)
    kernel32.SetEnvironmentVariableW("DROPIN_CASE", "a value \u20ac")
    length = kernel32.GetEnvironmentVariableW("DROPIN_CASE", room, 260)
    counter = c.c_longlong()
    frequency = kernel32.QueryPerformanceFrequency(c.byref(counter))
    small = c.windll.advapi32.GetUserNameW(room, c.byref(size))
    return [
        done,
        made.low,
        made.high,
        back.weekday,
        [getattr(back, name) for name, _ in back._fields_],
        length,
        room.value,
        bool(frequency),
        counter.value > 1000,
        small,
        size.value > 1,
    ]


@alone([True, True])
def objects_as_user_data_are_let_go(c, dll):
    class Given:
        pass

    alive = weakref.WeakSet()
    kept = [Given() for _ in range(10)]
    places = [c.py_object(each) for each in kept]
    for _ in range(5000):
        given = Given()
        alive.add(given)
        c.py_object(given)
    del given
    return [len(alive) < 1000, [place.value for place in places] == kept]
