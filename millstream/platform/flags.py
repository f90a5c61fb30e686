"""`tf.flags`: the command-line flags of absl, which are parsed when one is first read, if not before."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import absl.flags as absl_flags
import absl.logging as absl_logging
from absl.flags import *  # noqa: F403 - all of absl's names are public here

from millstream.core.export import export_value

# Older names of the parameters of the `DEFINE_` functions.
_OLD_PARAMETERS = {"flag_name": "name", "default_value": "default", "docstring": "help"}


class Flags:
    """absl's `FLAGS`, which parses the command line by itself at the first use of a flag."""

    def __getattr__(self, name: str) -> Any:
        if name in absl_flags.FLAGS and not absl_flags.FLAGS.is_parsed():
            absl_flags.FLAGS(sys.argv)
        return getattr(absl_flags.FLAGS, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(absl_flags.FLAGS, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(absl_flags.FLAGS, name)

    def __getitem__(self, name: str) -> Any:
        return absl_flags.FLAGS[name]

    def __setitem__(self, name: str, flag: Any) -> None:
        absl_flags.FLAGS[name] = flag

    def __contains__(self, name: str) -> bool:
        return name in absl_flags.FLAGS

    def __iter__(self) -> Iterator[str]:
        return iter(absl_flags.FLAGS)

    def __len__(self) -> int:
        return len(absl_flags.FLAGS)

    def __dir__(self) -> list[str]:
        return dir(absl_flags.FLAGS)

    def __str__(self) -> str:
        return str(absl_flags.FLAGS)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return absl_flags.FLAGS(*args, **kwargs)


def _with_old_parameters(define: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(define)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        for old, new in _OLD_PARAMETERS.items():
            if old in kwargs:
                kwargs[new] = kwargs.pop(old)
        return define(*args, **kwargs)

    return wrapper


FLAGS = Flags()
DEFINE_bool = DEFINE_boolean = _with_old_parameters(absl_flags.DEFINE_boolean)
DEFINE_float = _with_old_parameters(absl_flags.DEFINE_float)
DEFINE_integer = _with_old_parameters(absl_flags.DEFINE_integer)
DEFINE_string = _with_old_parameters(absl_flags.DEFINE_string)

# A flag belongs to the module that calls `DEFINE_…`, not to this one.
absl_flags.disclaim_key_flags()
# Programs older than absl define flags of these names, `log_dir` above all.
for _flag in absl_flags.FLAGS.get_flags_for_module(absl_logging):
    _flag.allow_override = True

for _name in absl_flags.__all__:
    export_value(__name__, _name, v1=[f"flags.{_name}", f"app.flags.{_name}"])
