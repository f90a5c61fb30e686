"""The layers of the measured networks in TensorFlow, PyTorch and JAX, each as one writes them there by hand.

The three classes have the same methods, so that networks.py describes a network once. An instance serves one pass
through a network. Batch normalisation leaves a batch's means and variances in `statistics`; PyTorch's updates the
moving ones itself.
"""
EPSILON, AVERAGING = 1e-3, 0.9


class TensorFlow:
    """Layers of TensorFlow and Millstream, 1.x and 2.x."""

    def __init__(self, tf):
        self.tf, self.statistics = tf, []

    def conv(self, x, kernel, stride=1):
        return self.tf.nn.conv2d(x, kernel, [1, stride, stride, 1], "SAME")

    def depthwise(self, x, kernel, stride=1):
        return self.tf.nn.depthwise_conv2d(x, kernel, [1, stride, stride, 1], "SAME")

    def bias(self, x, bias):
        return self.tf.nn.bias_add(x, bias)

    def norm(self, x, scale, offset):
        y, mean, variance = self.tf.compat.v1.nn.fused_batch_norm(x, scale, offset, epsilon=EPSILON)
        self.statistics += [mean, variance]
        return y

    def relu(self, x):
        return self.tf.nn.relu(x)

    def max_pool(self, x):
        return self.tf.nn.max_pool(x, [1, 2, 2, 1], [1, 2, 2, 1], "SAME")

    def mean(self, x):
        return self.tf.reduce_mean(x, [1, 2])

    def flatten(self, x):
        _, height, width, channels = x.shape.as_list()
        return self.tf.reshape(x, [-1, height * width * channels])

    def dense(self, x, weights, bias):
        return self.tf.matmul(x, weights) + bias

    def cross_entropy(self, logits, labels):
        return self.tf.reduce_mean(self.tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits))


class Torch:
    """Layers of PyTorch, over images [n, channels, height, width], the channels last in memory: its faster layout."""

    def __init__(self, moving=()):
        from torch.nn import functional

        self.functional, self._moving = functional, iter(moving)

    @staticmethod
    def tensor(value):
        """Returns an array of the network's values as PyTorch lays it out."""
        import torch

        if value.ndim == 4:  # [height, width, inputs, outputs], or [height, width, channels, 1] if depthwise
            value = value.transpose((2, 3, 0, 1) if value.shape[3] == 1 else (3, 2, 0, 1))
        return torch.from_numpy(value.copy())

    @staticmethod
    def images(batch):
        """Returns images [n, height, width, channels] as PyTorch takes them."""
        import torch

        return torch.from_numpy(batch).permute(0, 3, 1, 2)

    def conv(self, x, kernel, stride=1, groups=1):
        padding = max(kernel.shape[2] - stride, 0)  # in all, for sizes that the stride divides
        if padding % 2:  # TensorFlow pads more below and to the right, which conv2d cannot
            x = self.functional.pad(x, (padding // 2, padding - padding // 2) * 2)
            padding = 0
        return self.functional.conv2d(x, kernel, stride=stride, padding=padding // 2, groups=groups)

    def depthwise(self, x, kernel, stride=1):
        return self.conv(x, kernel, stride, groups=x.shape[1])

    def bias(self, x, bias):
        return x + bias[:, None, None]

    def norm(self, x, scale, offset):
        mean, variance = next(self._moving), next(self._moving)
        return self.functional.batch_norm(
            x, mean, variance, scale, offset, training=True, momentum=1 - AVERAGING, eps=EPSILON)

    def relu(self, x):
        return self.functional.relu(x)

    def max_pool(self, x):
        return self.functional.max_pool2d(x, 2, ceil_mode=True)

    def mean(self, x):
        return x.mean((2, 3))

    def flatten(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)

    def dense(self, x, weights, bias):
        return self.functional.linear(x, weights.T, bias)

    def cross_entropy(self, logits, labels):
        return self.functional.cross_entropy(logits, labels)


class Jax:
    """Layers of JAX: XLA's own convolutions."""

    def __init__(self):
        import jax
        import jax.numpy as jnp

        self.jax, self.jnp, self.statistics = jax, jnp, []

    def conv(self, x, kernel, stride=1, groups=1):
        return self.jax.lax.conv_general_dilated(
            x, kernel, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=groups)

    def depthwise(self, x, kernel, stride=1):
        return self.conv(x, kernel.swapaxes(2, 3), stride, groups=x.shape[3])

    def bias(self, x, bias):
        return x + bias

    def norm(self, x, scale, offset):
        mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        count = x.size // x.shape[3]
        self.statistics += [mean, variance * (count / (count - 1))]
        return (x - mean) * (scale * self.jax.lax.rsqrt(variance + EPSILON)) + offset

    def relu(self, x):
        return self.jax.nn.relu(x)

    def max_pool(self, x):
        return self.jax.lax.reduce_window(x, -self.jnp.inf, self.jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "SAME")

    def mean(self, x):
        return x.mean((1, 2))

    def flatten(self, x):
        return x.reshape(len(x), -1)

    def dense(self, x, weights, bias):
        return x @ weights + bias

    def cross_entropy(self, logits, labels):
        return -self.jax.nn.log_softmax(logits)[self.jnp.arange(len(labels)), labels].mean()
