"""SavedModels in text form, `saved_model.pbtxt`."""
from __future__ import annotations

from collections.abc import Iterable

import support
from google.protobuf import text_format
from targets import saved_model

from millstream.io import proto

MESSAGE, TEXT = saved_model.MESSAGE, True


def SEEDS() -> Iterable[bytes]:  # noqa: N802
    for seed in saved_model.SEEDS():
        if len(seed) > 1 << 13:  # text is read slowly
            continue
        yield text_format.MessageToString(MESSAGE.FromString(seed), descriptor_pool=proto.pool()).encode()


def TestOneInput(data: bytes) -> None:  # noqa: N802
    saved_model.load(support.place("model_text/saved_model.pbtxt", data))
