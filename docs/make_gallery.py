"""Make the pictures of docs/gallery.md anew: run the command below each heading and keep its figure, small.

    python docs/make_gallery.py            # all of them, some fifteen minutes on two cores
    python docs/make_gallery.py compare    # one

Each picture carries the command that made it, which the tests compare with the page.
"""

import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

FOLDER = Path(__file__).parent / "gallery"
PAGE = FOLDER.with_suffix(".md")
ENTRY = re.compile(r"```sh\n(rfm [^\n]+)\n```\n\n!\[[^\]]*\]\(gallery/([\w-]+)\.png\)")
# pixels, and colours that are far from each other: the most frequent ones would be shades of grey, and two oranges one
WIDTH, COLORS, METHOD = 1200, 256, Image.Quantize.MAXCOVERAGE


def entries(text: str) -> dict[str, str]:
    """Return the command of every picture, by the picture's name."""
    return {name: command for command, name in ENTRY.findall(text)}


def make(name: str, command: str) -> None:
    """Run a command in a folder of its own and keep the figure with the shortest name."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = [*shlex.split(command)[1:], "--out", folder]
        subprocess.run([sys.executable, "-P", "-m", "rfm", *arguments], check=True)
        figure = min(Path(folder).rglob("*.png"), key=lambda path: len(path.name))
        image = Image.open(figure).convert("RGB")
    image.thumbnail((WIDTH, WIDTH), Image.Resampling.LANCZOS)
    told = PngInfo()
    told.add_text("command", command)
    small = image.quantize(COLORS, METHOD, dither=Image.Dither.NONE)
    small.save(FOLDER / f"{name}.png", pnginfo=told, optimize=True)


if __name__ == "__main__":
    commands = entries(PAGE.read_text())
    for name in sys.argv[1:] or commands:
        make(name, commands[name])
