"""For unmodified TensorFlow programs: `import tensorflow` gives Millstream."""
from __future__ import annotations

from millstream.compat.install import install_as_tensorflow as install_as_tensorflow
