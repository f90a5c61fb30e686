"""Saves curves as a picture: with Matplotlib where it is installed, else as a plain PNG file drawn here."""
import struct
import zlib

import numpy as np

# Colours and widths, in the order of the curves: a thin line can be seen on a wide one.
STYLES = [((135, 206, 250), 8), ((178, 34, 34), 2)]
WIDTH, HEIGHT, MARGIN = 800, 400, 40


def save(path, curves, title):
    """Draws the curves, a dict from names to arrays of numbers; at most two."""
    try:
        import matplotlib
    except ImportError:
        write_png(path, drawn(curves))
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=(WIDTH / 100, HEIGHT / 100), dpi=100)
    for (name, values), (colour, width) in zip(curves.items(), STYLES):
        pyplot.plot(values, label=name, color=[part / 255 for part in colour], linewidth=width * 0.72)  # in points
    pyplot.title(title)
    pyplot.legend()
    figure.savefig(path)


def drawn(curves):
    """Returns an image, uint8 [height, width, 3], of the curves in a frame."""
    image = np.full((HEIGHT, WIDTH, 3), 224, np.uint8)
    image[MARGIN:-MARGIN, MARGIN:-MARGIN] = 255
    low, high = (bound(list(curves.values())) for bound in (np.min, np.max))
    for values, (colour, width) in zip(curves.values(), STYLES):
        # So many points that neighbours touch even where a curve is steep.
        x = np.linspace(0, 1, 16 * WIDTH)
        y = (np.interp(x, np.linspace(0, 1, len(values)), values) - low) / (high - low)
        columns = 1.5 * MARGIN + x * (WIDTH - 3 * MARGIN)
        rows = HEIGHT - 1.5 * MARGIN - y * (HEIGHT - 3 * MARGIN)
        brush = np.arange(width) - width // 2
        for dy, dx in np.stack(np.meshgrid(brush, brush), -1).reshape(-1, 2):
            image[rows.astype(int) + dy, columns.astype(int) + dx] = colour
    return image


def write_png(path, image):
    """Writes an image, uint8 [height, width, 3], as a PNG file (ISO/IEC 15948)."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = image.shape
    rows = np.hstack([np.zeros((height, 1), np.uint8), image.reshape(height, -1)])  # each begins with its filter: none
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n")
        f.write(chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)))  # eight bits; red, green, blue
        f.write(chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)))
        f.write(chunk(b"IEND", b""))
