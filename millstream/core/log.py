"""The two loggers: `tensorflow`, which is the user's through `tf.logging`, and `millstream`, of the runtime itself.

Both write to standard error from WARNING on. They are configured when first asked for, so that importing the package
neither imports `logging` nor changes anything about it.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from millstream.core.export import export_value

if TYPE_CHECKING:
    import logging

_configured = False


def tensorflow_logger() -> logging.Logger:
    """The logger of `tf.logging`. Where the program has not configured logging, it writes "LEVEL:tensorflow:message".

    In an interactive session it writes to standard output from INFO on.
    """
    global _configured
    import logging

    logger = logging.getLogger("tensorflow")
    if not _configured:
        _configured = True
        if not logging.getLogger().handlers and not logger.handlers:
            interactive = hasattr(sys, "ps1") or bool(sys.flags.interactive)
            handler = logging.StreamHandler(sys.stdout if interactive else sys.stderr)
            handler.setFormatter(logging.Formatter(logging.BASIC_FORMAT))
            logger.addHandler(handler)
            logger.propagate = False  # else each line appears again once something configures the root logger
            if interactive:
                logger.setLevel(logging.INFO)
    return logger


export_value(__name__, "tensorflow_logger", "get_logger")


def millstream_logger() -> logging.Logger:
    """The logger of the runtime's own messages. `TF_CPP_MIN_LOG_LEVEL` (0 to 3) says from which level on they show."""
    import logging

    logger = logging.getLogger("millstream")
    if logger.level == logging.NOTSET:
        chosen = os.environ.get("TF_CPP_MIN_LOG_LEVEL", "")
        levels = {"0": logging.INFO, "1": logging.WARNING, "2": logging.ERROR, "3": logging.CRITICAL}
        logger.setLevel(levels.get(chosen, logging.WARNING))
    return logger
