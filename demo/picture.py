"""A drawn face, so that the demo has a photo and no real child is in it. It carries metadata on purpose."""

from pathlib import Path

from PIL import Image, ImageDraw

PLANTED = "GPS 36.0000 N 42.0000 E"


def draw(path: Path) -> None:
    """Write a JPEG of a drawn face with a planted place in its EXIF data."""
    image = Image.new("RGB", (480, 600), (214, 226, 240))
    pen = ImageDraw.Draw(image)
    pen.ellipse((110, 120, 370, 470), fill=(232, 190, 152))
    pen.pieslice((100, 80, 380, 380), 180, 360, fill=(70, 50, 40))
    for centre in (185, 295):
        pen.ellipse((centre - 16, 270, centre + 16, 296), fill=(255, 255, 255))
        pen.ellipse((centre - 8, 274, centre + 8, 292), fill=(60, 40, 30))
    pen.arc((190, 330, 290, 410), 20, 160, fill=(150, 60, 60), width=6)
    pen.rectangle((60, 470, 420, 600), fill=(90, 120, 90))
    exif = image.getexif()
    exif[0x010E] = PLANTED
    image.save(path, exif=exif, quality=90)
