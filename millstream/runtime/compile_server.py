"""Compiles programs for a forked process, which cannot do it itself (see `fork`).

The server is a fresh Python process. It reads requests on its standard input and answers on its standard output; each
message is a row of byte strings. It ends when its input does, so at the latest with the process that it serves.
"""
from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
import threading
from typing import Any

from millstream.core import errors
from millstream.runtime import backend

_START = "import sys; sys.path[:] = sys.argv[1:]; from millstream.runtime.compile_server import serve; serve()"
_LENGTH = struct.Struct("<q")
_KERNEL = re.compile(rb"millstream_\w+")  # what native kernels are called in a program

_lock = threading.Lock()
_server: subprocess.Popen[bytes] | None = None


def use() -> None:
    """Has this process, which has just been forked, ask a server of its own whenever JAX compiles a program."""
    global _lock, _server
    from jax._src import compiler

    _lock = threading.Lock()
    if _server is not None:  # the parent was forked, too: this server is its own
        _disconnect(_server.stdin, _server.stdout)
        _server.returncode = 0
        _server = None
    # A program from the server, put into JAX's cache by this process, could not be read there again.
    backend.jax().config.update("jax_persistent_cache_min_compile_time_secs", float("inf"))
    compiler.backend_compile_and_load = _compile


def _disconnect(*pipes: Any) -> None:
    """Lets the pipes lead nowhere, where what is left in their buffers goes when they are closed."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for pipe in pipes:
        os.dup2(nowhere, pipe.fileno(), inheritable=False)
    os.close(nowhere)


def _compile(client: Any, module: Any, executable_devices: Any, options: Any, host_callbacks: Any) -> Any:
    """What JAX calls to compile a program."""
    from jax._src.interpreters import mlir

    if host_callbacks:
        raise errors.UnimplementedError(
            None, None, "A process that was forked after JAX had run cannot compile programs which call Python. "
            "Start it by `multiprocessing.get_context('spawn')`."
        )  # fmt: skip
    places = b" ".join(b"%d" % device.id for device in executable_devices)
    request = mlir.module_to_bytecode(module), options.SerializeAsString(), places
    with _lock:
        try:
            compiled, failure = _answer(*request)
        except (OSError, EOFError) as error:
            raise errors.InternalError(
                None, None, f"The process that compiles programs for this forked one has failed: {error}"
            ) from error
    if failure:
        raise errors.InternalError(None, None, failure.decode())
    return client.deserialize_executable(compiled, executable_devices, options)


def _answer(*request: bytes) -> list[bytes]:
    server = _started()
    try:
        _send(server.stdin, *request)
        return _receive(server.stdout, 2)
    except BaseException:  # the next request must not get what is left of this answer
        _drop(server)
        raise


def _started() -> subprocess.Popen[bytes]:
    global _server
    if _server is None:
        command = [sys.executable, "-c", _START, *sys.path]
        _server = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_environment(), start_new_session=True
        )
    return _server


def _drop(server: subprocess.Popen[bytes]) -> None:
    global _server
    _server = None
    _disconnect(server.stdin, server.stdout)
    with server:  # closes the pipes and waits
        server.kill()


def _environment() -> dict[str, str]:
    """What makes the server's devices the same as those of this process."""
    found = {**os.environ, "JAX_PLATFORMS": "cpu"}
    count = backend.jax().config.jax_num_cpu_devices
    if count > 0:
        found["JAX_NUM_CPU_DEVICES"] = str(count)
    return found


def _send(pipe: Any, *parts: bytes) -> None:
    for part in parts:
        pipe.write(_LENGTH.pack(len(part)))
        pipe.write(part)
    pipe.flush()


def _receive(pipe: Any, count: int) -> list[bytes]:
    return [_exactly(pipe, *_LENGTH.unpack(_exactly(pipe, _LENGTH.size))) for _ in range(count)]


def _exactly(pipe: Any, size: int) -> bytes:
    found: bytes = pipe.read(size)
    if len(found) < size:
        raise EOFError("it has ended")
    return found


# --- The server -------------------------------------------------------------------------------------------------------


def serve() -> None:
    """Answers requests until there are no more."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # for what others print
    while True:
        try:
            request = _receive(sys.stdin.buffer, 3)
        except EOFError:
            return
        try:
            answer = _compiled(*request), b""
        except Exception as error:  # the other process raises it
            answer = b"", f"{type(error).__name__}: {error}".encode()
        try:
            _send(answers, *answer)
        except BrokenPipeError:  # nobody waits for it any more
            return _disconnect(answers)


def _compiled(program: bytes, options: bytes, places: bytes) -> bytes:
    from jax._src.compiler import backend_compile_and_load
    from jax._src.interpreters import mlir
    from jax._src.lib import xla_client  # type: ignore[attr-defined]
    from jaxlib.mlir import ir

    from millstream.native.kernel import registered

    jax = backend.jax()
    for name in set(_KERNEL.findall(program)):
        registered(name.decode())
    indices = [int(place) for place in places.split()]
    devices = {device.id: device for device in jax.devices()}
    with mlir.make_ir_context():
        module = ir.Module.parse(program)
    client = jax.devices()[0].client
    executable = backend_compile_and_load(
        client, module, xla_client.DeviceList(tuple(devices[index] for index in indices)),
        xla_client.CompileOptions.ParseFromString(options), [],
    )  # fmt: skip
    serialized: bytes = client.serialize_executable(executable)
    return serialized


