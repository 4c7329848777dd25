"""pypdfium2: read, draw, search, change and save a PDF file that is written here.

Structures of callbacks (reading a file in blocks, writing one, a form's environment), bytes that the library keeps
after the call, drawing into the caller's buffer and into the library's, arrays and ``byref`` of results.
"""

from __future__ import annotations

import ctypes
import hashlib
import io
import zlib

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

GLYPHS = {  # strokes in a cell of 4 by 6: a font of our own, since those of the machine differ
    "B": "0 0 m 0 6 l 4 5 l 0 3 l 4 1 l 0 0 l",
    "D": "0 0 m 0 6 l 4 3 l 0 0 l",
    "E": "4 0 m 0 0 l 0 6 l 4 6 l 0 3 m 3 3 l",
    "G": "4 6 m 0 6 l 0 0 l 4 0 l 4 3 l 2 3 l",
    "I": "2 0 m 2 6 l",
    "N": "0 0 m 0 6 l 4 0 l 4 6 l",
    "R": "0 0 m 0 6 l 4 5 l 0 3 l 4 0 l",
    "W": "0 6 m 1 0 l 2 4 l 3 0 l 4 6 l",
}
MESSAGE = b"WINBRIDGE"
DRAWING = b"""q 0.2 0.4 0.9 rg 20 20 160 60 re f Q
q 2 w [6 3] 0 d 0.8 0.1 0.1 RG 20 100 m 80 180 120 20 180 100 c S Q
q /Half gs 0.1 0.7 0.2 rg 60 40 m 150 150 l 170 30 l h f* Q
q 20 120 60 60 re W n /Fade sh Q
q 50 10 -10 50 130 115 cm /Picture Do Q
BT /Own 12 Tf 24 84 Td <%s> Tj 0 -60 Td <%s> Tj ET""" % (MESSAGE.hex().encode(), MESSAGE[::-1].hex().encode())


def stream(data: bytes, entries: str = "") -> bytes:
    packed = zlib.compress(data)
    return f"<< {entries} /Filter /FlateDecode /Length {len(packed)} >>\nstream\n".encode() + packed + b"\nendstream"


def to_unicode() -> bytes:
    pairs = " ".join(f"<{ord(letter):02x}> <{ord(letter):04x}>" for letter in GLYPHS)
    return (
        "/CIDInit /ProcSet findresource begin begincmap /CMapName /Own def /CMapType 2 def "
        f"1 begincodespacerange <00> <ff> endcodespacerange {len(GLYPHS)} beginbfchar {pairs} endbfchar endcmap end"
    ).encode()


def file_of(objects: list[bytes]) -> bytes:
    """A PDF file of these objects, numbered from 1; the first is the catalog, the second the information."""
    data, places = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    count = len(objects) + 1
    trailer = f"xref\n0 {count}\n0000000000 65535 f \n{table}trailer\n<< /Size {count} /Root 1 0 R /Info 2 0 R >>\n"
    return data + f"{trailer}startxref\n{len(data)}\n%%EOF\n".encode()


def document() -> bytes:
    """Two pages: drawings, a picture and text on one; a form with a ticked box on the other."""
    letters = sorted(GLYPHS)
    first, last = ord(letters[0]), ord(letters[-1])
    differences = " ".join(f"{ord(letter)} /{letter}" for letter in letters)
    widths = " ".join("6" if chr(code) in GLYPHS else "0" for code in range(first, last + 1))
    first_glyph = 14
    glyphs = " ".join(f"/{letter} {first_glyph + place} 0 R" for place, letter in enumerate(letters))
    picture = bytes((7 * x * y + 40 * channel) % 256 for y in range(16) for x in range(16) for channel in range(3))
    title = "Wine \u2014 \u65e5\u672c".encode("utf-16-be").hex()
    page = (
        "<< /Type /Page /Parent 3 0 R /MediaBox [0 0 200 200] /Contents 6 0 R /Resources << /Font << /Own 7 0 R >> "
        "/XObject << /Picture 8 0 R >> /ExtGState << /Half << /ca 0.5 >> >> /Shading << /Fade << /ShadingType 2 "
        "/ColorSpace /DeviceRGB /Coords [20 120 80 180] /Function << /FunctionType 2 /Domain [0 1] /N 1 "
        "/C0 [1 0.9 0] /C1 [0.3 0 0.5] >> /Extend [true true] >> >> >> >>"
    )
    font = (
        "<< /Type /Font /Subtype /Type3 /FontBBox [0 0 6 6] /FontMatrix [0.2 0 0 0.2 0 0] /Resources << >> "
        f"/FirstChar {first} /LastChar {last} /Widths [{widths}] /CharProcs << {glyphs} >> "
        f"/Encoding << /Type /Encoding /Differences [{differences}] >> /ToUnicode 9 0 R >>"
    )
    image = "/Type /XObject /Subtype /Image /Width 16 /Height 16 /ColorSpace /DeviceRGB /BitsPerComponent 8"
    box = (
        "<< /Type /Annot /Subtype /Widget /FT /Btn /T (tick) /V /On /AS /On /F 4 /P 5 0 R /Rect [20 20 50 50] "
        "/AP << /N << /On 13 0 R >> >> >>"
    )
    objects = [
        "<< /Type /Catalog /Pages 3 0 R /Outlines 11 0 R /AcroForm << /Fields [10 0 R] /DA (/Own 0 Tf 0 g) >> >>",
        f"<< /Title <feff{title}> /Author (winbridge) >>",
        "<< /Type /Pages /Kids [4 0 R 5 0 R] /Count 2 >>",
        page,
        "<< /Type /Page /Parent 3 0 R /MediaBox [0 0 120 80] /Rotate 90 /Annots [10 0 R] /Resources << >> >>",
        stream(DRAWING),
        font,
        stream(picture, image),
        stream(to_unicode()),
        box,
        "<< /Type /Outlines /First 12 0 R /Last 12 0 R /Count 1 >>",
        "<< /Title (The form) /Parent 11 0 R /Dest [5 0 R /XYZ 10 70 2] >>",
        stream(b"3 w 2 15 m 12 4 l 28 28 l S", "/Type /XObject /Subtype /Form /BBox [0 0 30 30]"),
        *(stream(f"6 0 0 0 6 6 d1 0.8 w {GLYPHS[letter]} S".encode()) for letter in letters),
    ]
    return file_of([item.encode() if isinstance(item, str) else item for item in objects])


def rounded(values) -> tuple[float, ...]:
    return tuple(round(value, 2) for value in values)


def digest(data) -> str:
    return hashlib.sha256(bytes(data)).hexdigest()


def describe(pdf: pdfium.PdfDocument) -> None:
    print("version", pdf.get_version(), "form", pdf.get_formtype(), "pages", len(pdf))
    print({key: ascii(value) for key, value in pdf.get_metadata_dict(skip_empty=True).items()})
    for entry in pdf.get_toc():
        place = entry.get_dest()
        print("outline", entry.get_title(), place.get_index(), rounded(place.get_view()[1]))
    print("sizes", [rounded(pdf.get_page_size(index)) for index in range(len(pdf))])


def read_text(page: pdfium.PdfPage) -> None:
    text = page.get_textpage()
    print("text", text.count_chars(), text.get_text_range().split())
    print("bounded", text.get_text_bounded(left=0, bottom=60, right=100, top=200).split())
    print("letters", [rounded(text.get_charbox(index)) for index in range(3)])
    print("lines", [rounded(text.get_rect(index)) for index in range(text.count_rects())])
    searcher = text.search("bridge", match_case=False)
    print("found", searcher.get_next(), searcher.get_next())


def draw(title: str, page: pdfium.PdfPage, **options) -> None:
    bitmap = page.render(scale=2, **options)
    print(title, bitmap.width, bitmap.height, bitmap.stride, bitmap.mode, digest(bitmap.buffer))


def look_at_objects(page: pdfium.PdfPage) -> None:
    for item in page.get_objects():
        print("object", item.type, rounded(item.get_bounds()))
        if isinstance(item, pdfium.PdfImage):
            print(
                "picture",
                rounded(item.get_matrix().get()),
                item.get_px_size(),
                digest(item.get_data(decode_simple=True)),
                item.get_filters(),
            )


def on_the_page(page: pdfium.PdfPage, x: int, y: int) -> tuple[float, ...]:
    """Where a pixel lies, by the raw binding: results through ``byref``."""
    left, bottom = ctypes.c_double(), ctypes.c_double()
    assert pdfium_c.FPDF_DeviceToPage(page, 0, 0, 400, 400, 0, x, y, ctypes.byref(left), ctypes.byref(bottom))
    return rounded((left.value, bottom.value))


def change(pdf: pdfium.PdfDocument) -> bytes:
    """Attach a file, add a page with a picture and text of another file; the file that the callback wrote."""
    attachment = pdf.new_attachment("notes.txt")
    attachment.set_data(b"kept by the file")
    attachment.set_str_value("Desc", "n\u00f6tes")
    pdf.import_pages(pdfium.PdfDocument(document()), pages=[0])
    page = pdf.new_page(100, 50)
    canvas = pdfium.PdfBitmap.new_native(8, 4, pdfium_c.FPDFBitmap_BGR)
    canvas.fill_rect((200, 30, 60, 255), 0, 0, 8, 4)
    canvas.fill_rect((20, 230, 60, 255), 2, 1, 4, 2)
    picture = pdfium.PdfImage.new(pdf)
    picture.set_bitmap(canvas)
    picture.set_matrix(pdfium.PdfMatrix().scale(80, 40).translate(10, 5))
    page.insert_obj(picture)
    page.gen_content()
    written = io.BytesIO()
    pdf.save(written)
    return written.getvalue()


def main() -> None:
    data = document()
    pdf = pdfium.PdfDocument(data)
    pdf.init_forms()
    describe(pdf)
    first, second = pdf[0], pdf[1]
    read_text(first)
    look_at_objects(first)
    print("pixel", on_the_page(first, 100, 300))
    draw("the caller's buffer", first, bitmap_maker=pdfium.PdfBitmap.new_native)
    draw("the library's buffer", first, bitmap_maker=pdfium.PdfBitmap.new_foreign)
    draw("grey", first, grayscale=True, crop=(10, 20, 30, 40), rotation=90)
    draw("with the form", second, may_draw_forms=True)
    draw("without the form", second, may_draw_forms=False, draw_annots=False)

    from_callback = pdfium.PdfDocument(io.BytesIO(data))
    draw("read by callback", from_callback[0], rev_byteorder=True)

    changed = pdfium.PdfDocument(change(from_callback))
    attachment = changed.get_attachment(0)
    print(attachment.get_name(), bytes(attachment.get_data()), ascii(attachment.get_str_value("Desc")))
    for number, page in enumerate(changed):
        draw(f"page {number} of the changed", page)
    try:
        pdfium.PdfDocument(b"no file at all")
    except pdfium.PdfiumError as error:
        print(error)


if __name__ == "__main__":
    main()
