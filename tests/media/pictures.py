"""Sample pictures of every kind, made here: tables of a name and what makes the file's bytes."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

from PIL import Image, features

#: The upright sample: four plain quarters, so that a turned or mirrored one is told from it.
SIZE = (64, 48)
QUARTERS = {"top left": "red", "top right": "lime", "bottom left": "blue", "bottom right": "yellow"}
COLOURS = {"red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255), "yellow": (255, 255, 0)}

#: EXIF orientation -> how the upright picture has to be stored for it.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}

GPS_SECRET = b"52 deg 31 min north"


def sample(mode: str = "RGB", size: tuple[int, int] = SIZE) -> Image.Image:
    """The four quarters."""
    image = Image.new("RGB", size)
    half = size[0] // 2, size[1] // 2
    for at, colour in enumerate(QUARTERS.values()):
        left, top = at % 2 * half[0], at // 2 * half[1]
        image.paste(colour, (left, top, size[0] if at % 2 else half[0], size[1] if at // 2 else half[1]))
    return image.convert(mode)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The bytes of a file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def exif(orientation: int = 1) -> bytes:
    """EXIF that tells where the picture was taken."""
    data = Image.Exif()
    data[0x0112] = orientation
    data[0x010E] = GPS_SECRET.decode()
    data.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 0.0), 3: "E", 4: (13.0, 24.0, 0.0)})
    return data.tobytes()


def turned(kind: str, orientation: int, size: tuple[int, int] = SIZE, **options: Any) -> bytes:
    """A picture that is upright only by its EXIF orientation."""
    image = sample(size=size)
    how = STORED[orientation]
    image = image if how is None else image.transpose(how)
    return saved(image, kind, exif=exif(orientation), **options)


#: The primaries' XYZ under D50.
_PRIMARIES = {
    "Display P3": ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)),
    "sRGB": ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)),
}


#: What a sample of sRGB, and of Display P3, means: a straight line in the darks, a power above.
_SRGB_CURVE = b"para\0\0\0\0\0\3\0\0" + struct.pack(
    ">5i", *(round(value * 65536) for value in (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))
)


def profile(primaries: str = "Display P3", gamma: float | None = None) -> bytes:
    """An ICC profile of a display; without a gamma, with sRGB's curve."""

    def xyz(values: tuple[float, ...]) -> bytes:
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))

    curve = _SRGB_CURVE if gamma is None else _power(gamma)
    name = primaries.encode() + b"\0"
    described = b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + bytes(78)
    red, green, blue = (xyz(each) for each in _PRIMARIES[primaries])
    white = (0.9642, 1.0, 0.8249)
    tags = {b"desc": described, b"cprt": b"text\0\0\0\0none\0", b"wtpt": xyz(white)}
    tags |= {b"rXYZ": red, b"gXYZ": green, b"bXYZ": blue, b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}
    return _icc(b"RGB ", tags, white)


def grey_profile(gamma: float) -> bytes:
    """An ICC profile of a grey display."""
    white = (0.9642, 1.0, 0.8249)
    point = b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in white))
    return _icc(b"GRAY", {b"wtpt": point, b"kTRC": _power(gamma)}, white)


def _power(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"


def _icc(space: bytes, tags: dict[bytes, bytes], white: tuple[float, ...]) -> bytes:
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for tag, data in tags.items():
        padded = data + bytes(-len(data) % 4)
        table += tag + struct.pack(">II", start + len(body), len(data))
        body += padded
    header = struct.pack(">IIIII4s", 0, 0, 0, 0, 0, b"")
    header = struct.pack(">I4sI4s4s4s", start + len(body), bytes(4), 0x02100000, b"mntr", space, b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28)
    header += struct.pack(">3i", *(round(value * 65536) for value in white)) + bytes(48)
    return header + struct.pack(">I", len(tags)) + table + body


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *more: tuple[bytes, bytes]) -> bytes:
    """A PNG whose header says this, whatever the rows are."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)),
        *more,
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def grey_16(white: int = 65535) -> Image.Image:
    """A 16-bit picture: its left half black, its right half ``white``."""
    image = Image.new("I;16", SIZE, 0)
    image.paste(white, (SIZE[0] // 2, 0, *SIZE))
    return image


def halves(mode: str, low: float, high: float) -> Image.Image:
    """A picture of one band: its left half ``low``, its right half ``high``."""
    image = Image.new(mode, SIZE, low)
    image.paste(high, (SIZE[0] // 2, 0, *SIZE))
    return image


def half_clear(mode: str = "RGBA") -> Image.Image:
    """Red; the right half transparent, with black under it."""
    image = Image.new("RGBA", SIZE, (255, 0, 0, 255))
    image.paste((0, 0, 0, 0), (SIZE[0] // 2, 0, *SIZE))
    return image.convert(mode)


def noisy(size: tuple[int, int]) -> Image.Image:
    """Coloured noise: nothing compresses worse."""
    return Image.merge("RGB", [Image.effect_noise(size, 120) for _ in range(3)])


def with_segment(jpeg: bytes, marker: int, content: bytes) -> bytes:
    """A JPEG with one more segment behind its first marker."""
    return jpeg[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content + jpeg[2:]


def _ycck() -> bytes:
    """A CMYK JPEG of which Adobe's segment says that it is YCCK."""
    data = bytearray(saved(sample("CMYK"), "JPEG"))
    data[data.index(b"Adobe") + 11] = 2
    return bytes(data)


def _mpo() -> bytes:
    return saved(sample(), "MPO", save_all=True, append_images=[sample().rotate(180)], exif=exif())


Maker = Callable[[], bytes]

#: Files that need no change at all.
RIGHT: dict[str, Maker] = {
    "plain.jpg": lambda: saved(sample(), "JPEG"),
    "grey.jpg": lambda: saved(sample("L"), "JPEG"),
    "progressive.jpg": lambda: saved(sample(), "JPEG", progressive=True),
    "restarts.jpg": lambda: saved(sample(), "JPEG", restart_marker_blocks=1),
    "full colour.jpg": lambda: saved(sample(), "JPEG", subsampling=0),
    "srgb.jpg": lambda: saved(sample(), "JPEG", icc_profile=profile("sRGB")),
    "tall.jpg": lambda: saved(sample(size=(1080, 1920)), "JPEG"),
    "wide.jpg": lambda: saved(sample(size=(1920, 1080)), "JPEG"),
    "pixel.jpg": lambda: saved(sample(size=(1, 1)), "JPEG"),
    "plain.webp": lambda: saved(sample(), "WEBP"),
    "lossless.webp": lambda: saved(sample(), "WEBP", lossless=True),
    "srgb.webp": lambda: saved(sample(), "WEBP", icc_profile=profile("sRGB")),
    "named.png": lambda: saved(sample(), "JPEG"),
}

#: Files that only have to lose what is no picture.
TALKATIVE: dict[str, Maker] = {
    "gps.jpg": lambda: saved(sample(), "JPEG", exif=exif()),
    "gps and profile.jpg": lambda: saved(sample(), "JPEG", exif=exif(), icc_profile=profile("sRGB")),
    "comment.jpg": lambda: saved(sample(), "JPEG", comment=GPS_SECRET),
    "xmp.jpg": lambda: with_segment(
        saved(sample(), "JPEG"), 0xE1, b"http://ns.adobe.com/xap/1.0/\0" + GPS_SECRET
    ),
    "iptc.jpg": lambda: with_segment(saved(sample(), "JPEG"), 0xED, b"Photoshop 3.0\0" + GPS_SECRET),
    "motion photo.jpg": lambda: saved(sample(), "JPEG") + b"\0\0\0\x18ftypmp42" + GPS_SECRET,
    "two pictures.mpo": _mpo,
    "gps.webp": lambda: saved(sample(), "WEBP", exif=exif()),
    "xmp.webp": lambda: saved(sample(), "WEBP", xmp=GPS_SECRET, icc_profile=profile("sRGB")),
    "broken profile.jpg": lambda: saved(sample(), "JPEG", icc_profile=b"no profile" * 20),
    "broken profile.webp": lambda: saved(sample(), "WEBP", icc_profile=b"no profile" * 20),
}

#: Files that become a JPEG which shows the sample's quarters.
QUARTERED: dict[str, Maker] = {
    "rgb.png": lambda: saved(sample(), "PNG"),
    "opaque.png": lambda: saved(sample("RGBA"), "PNG"),
    "palette.png": lambda: saved(sample().quantize(8), "PNG"),
    "deep.png": lambda: png(
        *SIZE,
        16,
        2,
        b"".join(
            b"\0" + b"".join(bytes([value, value]) for pixel in row for value in pixel) for row in _rows()
        ),
    ),
    "animated.png": lambda: saved(sample(), "PNG", save_all=True, append_images=[sample().rotate(180)]),
    "first frame.gif": lambda: saved(sample(), "GIF", save_all=True, append_images=[sample().rotate(180)]),
    "plain.gif": lambda: saved(sample(), "GIF"),
    "comment.gif": lambda: saved(sample(), "GIF", comment=GPS_SECRET),
    "large comment.jpg": lambda: saved(sample(size=(1200, 1200)), "JPEG", comment=GPS_SECRET),
    "large gps.png": lambda: saved(sample(size=(1200, 1200)), "PNG", exif=exif()),
    "plain.bmp": lambda: saved(sample(), "BMP"),
    "plain.tif": lambda: saved(sample(), "TIFF"),
    "lzw.tif": lambda: saved(sample(), "TIFF", compression="tiff_lzw"),
    "pages.tif": lambda: saved(sample(), "TIFF", save_all=True, append_images=[sample().rotate(180)]),
    "cmyk.tif": lambda: saved(sample("CMYK"), "TIFF"),
    "ycbcr.tif": lambda: saved(sample("YCbCr"), "TIFF"),
    "cmyk.jpg": lambda: saved(sample("CMYK"), "JPEG"),
    "plain.ppm": lambda: saved(sample(), "PPM"),
    "plain.tga": lambda: saved(sample(), "TGA"),
    "plain.pcx": lambda: saved(sample(), "PCX"),
    "plain.sgi": lambda: saved(sample(), "SGI"),
    "plain.ico": lambda: saved(sample(), "ICO", sizes=[SIZE]),
    "animated.webp": lambda: saved(
        sample(), "WEBP", save_all=True, append_images=[sample().rotate(180)], lossless=True
    ),
    "no end.jpg": lambda: saved(sample(), "JPEG").removesuffix(b"\xff\xd9") + b"\xff\xd0" * 8,
    **{f"turned {at}.jpg": lambda at=at: turned("JPEG", at, quality=95) for at in range(2, 9)},  # type: ignore[misc]
    "turned.png": lambda: turned("PNG", 6),
    "turned.webp": lambda: turned("WEBP", 8, lossless=True),
    "turned.tif": lambda: turned("TIFF", 6),
    "large.png": lambda: saved(sample(size=(1254, 1254)), "PNG"),
    "large.jpg": lambda: saved(sample(size=(4000, 3000)), "JPEG"),
    "large turned.jpg": lambda: turned("JPEG", 6, (2600, 3200)),
    "large.webp": lambda: saved(sample(size=(1086, 1448)), "WEBP"),
    "large.gif": lambda: saved(sample(size=(1200, 1200)), "GIF"),
}
if features.check("jpg_2000"):
    QUARTERED["plain.jp2"] = lambda: saved(sample(), "JPEG2000")
if features.check("avif"):
    QUARTERED["plain.avif"] = lambda: saved(sample(), "AVIF", quality=95)
    QUARTERED["turned.avif"] = lambda: turned("AVIF", 6, quality=95)

#: Files that become a JPEG whose left half is black and whose right half is white.
BLACK_AND_WHITE: dict[str, Maker] = {
    "bits.png": lambda: saved(halves("L", 0, 255).convert("1"), "PNG"),
    "bits.tif": lambda: saved(halves("L", 0, 255).convert("1"), "TIFF"),
    "grey.png": lambda: saved(halves("L", 0, 255), "PNG"),
    "grey.bmp": lambda: saved(halves("L", 0, 255), "BMP"),
    "deep grey.png": lambda: saved(grey_16(), "PNG"),
    "deep grey.tif": lambda: saved(grey_16(), "TIFF"),
    "deep grey.pgm": lambda: saved(halves("I", 0, 65535), "PPM"),
    "integers.tif": lambda: saved(halves("I", 0, 65535), "TIFF"),
    "large integers.tif": lambda: saved(halves("I", 0, 2**31 - 1), "TIFF"),
    "signed integers.tif": lambda: saved(halves("I", -1000, 1000), "TIFF"),
    "small integers.tif": lambda: saved(halves("I", 0, 255), "TIFF"),
    "floats to 1.tif": lambda: saved(halves("F", 0.0, 1.0), "TIFF"),
    "floats to 255.tif": lambda: saved(halves("F", 0.0, 255.0), "TIFF"),
    "floats to 65535.tif": lambda: saved(halves("F", 0.0, 65535.0), "TIFF"),
    "bright floats.tif": lambda: saved(halves("F", 0.0, 5.0), "TIFF"),
    "signed floats.tif": lambda: saved(halves("F", -3.0, 3.0), "TIFF"),
}

#: Files whose left half is red, and whose right half is transparent.
HALF_CLEAR: dict[str, Maker] = {
    "alpha.png": lambda: saved(half_clear(), "PNG"),
    "alpha.webp": lambda: saved(half_clear(), "WEBP", lossless=True, exact=True),
    "alpha.tif": lambda: saved(half_clear(), "TIFF"),
    "alpha.gif": lambda: saved(half_clear(), "GIF"),
    "alpha palette.png": lambda: saved(half_clear().quantize(4), "PNG"),
    "keyed.png": lambda: saved(half_clear("RGB"), "PNG", transparency=(0, 0, 0)),
    "keyed deep.png": lambda: png(2, 1, 16, 2, b"\0\xff\xff\0\0\0\0" + bytes(6), (b"tRNS", bytes(6))),
}

#: Files that are taken, whatever they show.
OTHERS: dict[str, Maker] = {
    "ycck.jpg": _ycck,
    "lab.tif": lambda: saved(Image.new("LAB", SIZE, (128, 128, 128)), "TIFF"),
    "not a number.tif": lambda: saved(halves("F", float("nan"), float("inf")), "TIFF"),
    "keyed grey.png": lambda: saved(halves("L", 0, 255), "PNG", transparency=0),
    "keyed deep grey.png": lambda: png(2, 1, 16, 0, b"\0\0\0\xff\xff", (b"tRNS", b"\0\0")),
    "grey with alpha.png": lambda: saved(half_clear("LA"), "PNG"),
    "long.png": lambda: saved(Image.new("RGB", (1, 5000)), "PNG"),
    "broad.png": lambda: saved(Image.new("RGB", (5000, 1)), "PNG"),
    "long.jpg": lambda: saved(Image.new("RGB", (1, 9000)), "JPEG"),
    "p3.jpg": lambda: saved(sample(), "JPEG", icc_profile=profile()),
    "p3.png": lambda: saved(half_clear(), "PNG", icc_profile=profile()),
    "p3 of a grey.jpg": lambda: saved(sample("L"), "JPEG", icc_profile=profile()),
    "grey profile of colours.png": lambda: saved(sample(), "PNG", icc_profile=grey_profile(1.0)),
    "no exif.jpg": lambda: with_segment(saved(sample(), "JPEG"), 0xE1, b"Exif\0\0MM\0*\xff\xff\xff\xff"),
}

TAKEN = RIGHT | TALKATIVE | QUARTERED | BLACK_AND_WHITE | HALF_CLEAR | OTHERS

#: Files that cannot be taken -> what makes them, and words of the reason.
BAD: dict[str, tuple[Maker, str]] = {
    "nothing.jpg": (lambda: b"", "is empty"),
    "short.jpg": (lambda: saved(noisy((200, 200)), "JPEG")[:-2000], "is cut short"),
    "short progressive.jpg": (
        lambda: saved(noisy((200, 200)), "JPEG", progressive=True)[:-2000],
        "is cut short",
    ),
    "short.png": (lambda: saved(noisy((200, 200)), "PNG")[:-2000], "is cut short"),
    "short.webp": (lambda: saved(noisy((200, 200)), "WEBP")[:-2000], ""),
    "short.gif": (lambda: saved(noisy((200, 200)), "GIF")[:-2000], "is cut short"),
    "header.png": (lambda: saved(sample(), "PNG")[:20], ""),
    "header.jpg": (lambda: saved(sample(), "JPEG")[:30], ""),
    "no width.png": (lambda: png(0, 5, 8, 2, b""), ""),
    "no pixels.ppm": (lambda: b"P6 0 0 255\n", ""),
    "bomb.png": (lambda: png(30_000, 30_000, 8, 2, b""), "900000000 pixels"),
    "small bomb.png": (lambda: png(10_000, 10_000, 8, 2, b""), "100000000 pixels"),
    "text.png": (lambda: b"not a picture\n", "is text"),
    "page.jpg": (lambda: b"<!DOCTYPE html><html>log in</html>", "is an HTML page"),
    "answer.jpg": (lambda: b"<?xml version='1.0'?><Error/>", "is XML"),
    "drawing.svg": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is an SVG drawing"),
    "book.pdf": (lambda: b"%PDF-1.7\n", "is a PDF document"),
    "video.mp4": (lambda: b"\0\0\0\x18ftypisom" + bytes(100), "is a video"),
    "sound.mp3": (lambda: b"ID3" + bytes(100), "is no picture that Pillow knows"),
    "zeros.bin": (lambda: bytes(1000), ""),
    "drawing.wmf": (lambda: b"\xd7\xcd\xc6\x9a" + bytes(18) + b"\1\0\t\0\0\3" + bytes(60), ""),
}
if features.check("avif"):
    BAD["short.avif"] = (lambda: saved(noisy((200, 200)), "AVIF")[:-2000], "is broken or cut short")


@cache
def made(name: str) -> bytes:
    """The bytes of a sample."""
    return TAKEN[name]() if name in TAKEN else BAD[name][0]()


def _rows() -> list[list[tuple[int, int, int]]]:
    image = sample()
    pixels = image.tobytes()
    values = [tuple(pixels[at : at + 3]) for at in range(0, len(pixels), 3)]
    return [values[at : at + image.width] for at in range(0, len(values), image.width)]  # type: ignore[misc]
