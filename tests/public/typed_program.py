"""A program that mypy must understand: completion and type checkers see the names of `import millstream as tf`."""
from __future__ import annotations

import millstream as tf
import millstream.v1 as tf1

module: tf.Module = tf.Module("layer")
devices: list[tf.config.PhysicalDevice] = tf.config.list_physical_devices("GPU")
graph: tf1.Graph = tf1.get_default_graph()
tf.no_such_name  # type: ignore[attr-defined]  # noqa: B018 - and misspelt names are errors
