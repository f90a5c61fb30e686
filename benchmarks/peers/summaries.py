"""What the summary workloads share: timing what they write to an event file, and counting what has come there."""
import os
import struct
import time

HEADER, FOOTER = 12, 4  # bytes around each record: its length and a checksum, and a checksum


def records(folder):
    """Returns the number of whole records in a folder's event files."""
    count = 0
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as f:
            content = f.read()
        position = 0
        while position + HEADER <= len(content):
            position += HEADER + struct.unpack_from("<Q", content, position)[0] + FOOTER
            count += position <= len(content)
    return count


def figures(folder, write, events):
    """Returns the seconds that each event takes.

    `write` writes so many events to a file in a temporary folder. It is called twice; the second time counts. The
    folder is removed, for the process is killed when it has answered.
    """
    with folder as path:
        write()
        start = time.perf_counter()
        write()
        seconds = time.perf_counter() - start
        found, wanted = records(path), 1 + 2 * events  # the first one says the format's version
        if found != wanted:
            raise ValueError(f"there should be {wanted} records, not {found}")
    return {"": seconds / events}
