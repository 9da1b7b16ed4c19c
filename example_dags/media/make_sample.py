"""
Make ``sample.mp4`` and ``photo_*``, the video and the photos that the example DAGs and the demo publish.

Everything in them is drawn and computed here, so they belong to this project and may be used as the project
itself. Run ``python make_sample.py [folder]`` where PyAV and Pillow are installed; on the same versions of
both it makes the same files each time.
"""

from __future__ import annotations

import array
import math
import sys
from fractions import Fraction
from pathlib import Path

import av
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

WIDTH, HEIGHT, FRAMES_PER_SECOND, SECONDS = 720, 1280, 30, 5
SOUND_RATE, SOUND_BLOCK = 44100, 1024

TOP, MIDDLE, BOTTOM = (20, 16, 52), (70, 32, 110), (12, 96, 128)
WHITE, IDLE, DONE, PINK, CYAN = (245, 247, 255), (92, 86, 140), (64, 224, 164), (255, 84, 140), (76, 220, 240)

#: Label, where it stands, the second in which it is done.
TASKS = (("render", (200, 520), 0.9), ("check", (520, 640), 1.9), ("publish", (200, 760), 2.9))
#: Notes of the melody: hertz, and the second in which each sounds.
NOTES = ((261.63, 0.0), (329.63, 0.9), (392.0, 1.9), (523.25, 2.9), (659.25, 3.5), (783.99, 4.1))


def mixed(first: tuple[int, ...], second: tuple[int, ...], share: float) -> tuple[int, ...]:
    """Mix two colours."""
    return tuple(round(a + (b - a) * share) for a, b in zip(first, second, strict=True))


def background(second: float) -> Image.Image:
    """Draw a slowly turning gradient with two soft lights in it."""
    turn = 2 * math.pi * second / SECONDS
    small = Image.new("RGB", (9, 16))
    for x in range(9):
        for y in range(16):
            height = y / 15 + 0.10 * math.sin(turn + x / 3)
            upper = height < 0.5
            share = min(1.0, max(0.0, height * 2 if upper else height * 2 - 1))
            small.putpixel((x, y), mixed(TOP, MIDDLE, share) if upper else mixed(MIDDLE, BOTTOM, share))
    lights = Image.new("RGB", (90, 160))
    draw = ImageDraw.Draw(lights)
    for colour, phase in ((PINK, 0.0), (CYAN, math.pi)):
        x, y = 45 + 34 * math.cos(turn + phase), 80 + 58 * math.sin(turn + phase)
        draw.ellipse((x - 18, y - 18, x + 18, y + 18), fill=mixed((0, 0, 0), colour, 0.45))
    lights = lights.filter(ImageFilter.GaussianBlur(11)).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    return ImageChops.screen(small.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), lights)


def centred(
    draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str, size: int, colour: object
) -> None:
    """Write a line of text around a point."""
    draw.text(place, text, font=ImageFont.load_default(size), fill=colour, anchor="mm")


def edge(draw: ImageDraw.ImageDraw, start: tuple[int, int], end: tuple[int, int], share: float) -> None:
    """Draw the line from one task to the next, lit as far as the run has come."""
    draw.line((start, end), fill=IDLE, width=8)
    if share > 0:
        reached = tuple(a + (b - a) * share for a, b in zip(start, end, strict=True))
        draw.line((start, reached), fill=DONE, width=8)
        draw.ellipse((reached[0] - 11, reached[1] - 11, reached[0] + 11, reached[1] + 11), fill=WHITE)


def task(draw: ImageDraw.ImageDraw, label: str, place: tuple[int, int], since: float) -> None:
    """Draw one task; it rings for a moment when it is done."""
    x, y = place
    done = since >= 0
    if 0 <= since < 0.6:
        ring = 62 + 70 * since / 0.6
        draw.ellipse(
            (x - ring, y - ring, x + ring, y + ring), outline=mixed(DONE, MIDDLE, since / 0.6), width=6
        )
    draw.ellipse((x - 62, y - 62, x + 62, y + 62), fill=DONE if done else IDLE, outline=WHITE, width=5)
    if done:
        draw.line((x - 26, y + 2, x - 7, y + 22, x + 28, y - 20), fill=WHITE, width=11, joint="curve")
    else:
        draw.ellipse((x - 9, y - 9, x + 9, y + 9), fill=WHITE)
    centred(draw, (x, y + 92), label, 34, WHITE)


def play_button(draw: ImageDraw.ImageDraw, since: float) -> None:
    """Let the play button pop up, a little too large at first."""
    x, y = 520, 900
    draw.ellipse((x - 24, y - 24, x + 24, y + 24), fill=IDLE, outline=WHITE, width=4)
    if since < 0:
        return
    size = 84 * (1 - math.exp(-6 * since) * math.cos(9 * since))
    draw.ellipse((x - size, y - size, x + size, y + size), fill=PINK)
    wing = size * 0.42
    draw.polygon([(x - wing * 0.8, y - wing), (x - wing * 0.8, y + wing), (x + wing * 1.1, y)], fill=WHITE)


def frame(index: int) -> Image.Image:
    """Draw one frame."""
    second = index / FRAMES_PER_SECOND
    picture = background(second)
    draw = ImageDraw.Draw(picture)
    centred(draw, (WIDTH / 2, 250), "airflow-provider-tiktok", 58, WHITE)
    centred(draw, (WIDTH / 2, 320), "from a DAG to the feed", 34, mixed(WHITE, MIDDLE, 0.25))
    stops = [place for _, place, _ in TASKS] + [(520, 900)]
    for number, (_, place, done_at) in enumerate(TASKS):
        edge(draw, place, stops[number + 1], min(1.0, (second - done_at) / 0.8))
    for label, place, done_at in TASKS:
        task(draw, label, place, second - done_at)
    play_button(draw, second - 3.7)
    draw.rounded_rectangle((110, 1120, 610, 1132), 6, fill=IDLE)
    draw.rounded_rectangle((110, 1120, 122 + 488 * (second / SECONDS), 1132), 6, fill=CYAN)
    centred(draw, (WIDTH / 2, 1180), "sample video", 28, mixed(WHITE, BOTTOM, 0.35))
    return picture


def sound(second: float) -> float:
    """Give the sound at a moment, from -1 to 1: soft plucked notes."""
    level = 0.0
    for pitch, begins in NOTES:
        since = second - begins
        if since >= 0:
            swell = min(1.0, since / 0.01) * math.exp(-2.2 * since)
            level += swell * (
                math.sin(2 * math.pi * pitch * since) + 0.3 * math.sin(4 * math.pi * pitch * since)
            )
    return 0.28 * level * min(1.0, max(0.0, SECONDS - second) / 0.3)


def pictures(stream: av.VideoStream) -> list[av.Packet]:
    """Encode the frames."""
    packets = []
    for index in range(FRAMES_PER_SECOND * SECONDS):
        picture = av.VideoFrame.from_image(frame(index))
        picture.pts, picture.time_base = index, Fraction(1, FRAMES_PER_SECOND)
        packets += stream.encode(picture)
    return packets + stream.encode(None)


def sounds(stream: av.AudioStream) -> list[av.Packet]:
    """Encode the sound."""
    packets, total = [], SOUND_RATE * SECONDS
    for first in range(0, total, SOUND_BLOCK):
        count = min(SOUND_BLOCK, total - first)
        block = av.AudioFrame(format="fltp", layout="mono", samples=count)
        values = array.array("f", (sound((first + each) / SOUND_RATE) for each in range(count)))
        block.planes[0].update(values.tobytes().ljust(block.planes[0].buffer_size, b"\0"))
        block.sample_rate, block.pts, block.time_base = SOUND_RATE, first, Fraction(1, SOUND_RATE)
        packets += stream.encode(block)
    return packets + stream.encode(None)


def make(path: Path) -> None:
    """
    Make the video: H.264 Main in 4:2:0 and AAC, which every browser and phone plays, its header in front.

    :param path: where it is written
    """
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(str(path), "w", format="mp4", options=options) as container:
        container.metadata["title"] = "airflow-provider-tiktok: sample video"
        coding = {"profile": "main", "level": "3.1", "crf": "30", "preset": "veryslow", "threads": "1"}
        picture = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options=coding)
        picture.width, picture.height, picture.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        picture.codec_context.gop_size = FRAMES_PER_SECOND
        noise = container.add_stream("aac", rate=SOUND_RATE, layout="mono", options={"b": "64000"})
        packets = [each for each in pictures(picture) + sounds(noise) if each.dts is not None]
        for packet in sorted(packets, key=lambda each: each.dts * each.time_base):
            container.mux(packet)


def make_photos(folder: Path) -> None:
    """
    Make three photos: one with rounded, transparent corners, one that is right, one as a phone stores it.

    :param folder: where they are written
    """
    corners = Image.new("L", (WIDTH, HEIGHT), 0)
    ImageDraw.Draw(corners).rounded_rectangle((0, 0, WIDTH - 1, HEIGHT - 1), 90, fill=255)
    few = frame(20).quantize(200, dither=Image.Dither.FLOYDSTEINBERG).convert("RGB")
    few.putalpha(corners)
    few.save(folder / "photo_1.png", optimize=True)
    frame(70).save(folder / "photo_2.jpg", quality=88)
    lying = frame(140).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation: to be turned by 90 degrees before it is shown
    lying.resize((HEIGHT * 2, WIDTH * 2), Image.Resampling.BICUBIC).save(
        folder / "photo_3.jpg", quality=60, exif=exif
    )


if __name__ == "__main__":
    chosen = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    make(chosen / "sample.mp4")
    make_photos(chosen)
