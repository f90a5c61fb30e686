"""The measured networks, described once for all systems: initial values, and logits of images.

A network is a function of the layers of a system (see layers.py), the trained values and the images.
"""
import numpy as np


class Values:
    """Initial values of a network: trained ones, and moving means and variances, in the order of the layers."""

    def __init__(self):
        self._rng, self.trained, self.moving = np.random.RandomState(0), [], []

    def weights(self, *shape):
        """A kernel or matrix, scaled for ReLU (He et al., 2015)."""
        inputs = np.prod(shape[:2] if shape[-1] == 1 else shape[:-1])  # one channel if depthwise
        self.trained.append(self._rng.normal(0, np.sqrt(2 / inputs), shape).astype(np.float32))

    def bias(self, count):
        self.trained.append(np.zeros(count, np.float32))

    def norm(self, channels):
        zeros, ones = np.zeros(channels, np.float32), np.ones(channels, np.float32)
        self.trained += [ones, zeros]
        self.moving += [zeros, ones]


class LeNet:
    """conv 5×5×32, pool, conv 5×5×64, pool, 512, 10 for digits of 28×28 pixels."""

    IMAGE = 28, 28, 1

    def values(self):
        values = Values()
        for shape in ((5, 5, 1, 32), (5, 5, 32, 64), (7 * 7 * 64, 512), (512, 10)):
            values.weights(*shape)
            values.bias(shape[-1])
        return values

    def __call__(self, layers, trained, images):
        kernel1, bias1, kernel2, bias2, weights1, bias3, weights2, bias4 = trained
        hidden = layers.max_pool(layers.relu(layers.bias(layers.conv(images, kernel1), bias1)))
        hidden = layers.max_pool(layers.relu(layers.bias(layers.conv(hidden, kernel2), bias2)))
        hidden = layers.relu(layers.dense(layers.flatten(hidden), weights1, bias3))
        return layers.dense(hidden, weights2, bias4)


class ResNet:
    """The residual networks of He et al. (2016) for CIFAR images: 6n + 2 layers, with projection shortcuts."""

    IMAGE = 32, 32, 3

    def __init__(self, depth):
        widths = [16] + [width for width in (16, 32, 64) for _ in range((depth - 2) // 6)]
        self._blocks = list(zip(widths, widths[1:]))  # inputs and outputs; where they differ the image is halved

    def values(self):
        values = Values()

        def conv_norm(size, inputs, outputs):
            values.weights(size, size, inputs, outputs)
            values.norm(outputs)

        conv_norm(3, 3, 16)
        for inputs, outputs in self._blocks:
            if inputs != outputs:
                conv_norm(1, inputs, outputs)
            conv_norm(3, inputs, outputs)
            conv_norm(3, outputs, outputs)
        values.weights(64, 10)
        values.bias(10)
        return values

    def __call__(self, layers, trained, images):
        take = iter(trained)

        def conv_norm(x, stride=1):
            return layers.norm(layers.conv(x, next(take), stride), next(take), next(take))

        hidden = layers.relu(conv_norm(images))
        for inputs, outputs in self._blocks:
            stride = 1 if inputs == outputs else 2
            shortcut = hidden if inputs == outputs else conv_norm(hidden, stride)
            hidden = layers.relu(conv_norm(hidden, stride))
            hidden = layers.relu(conv_norm(hidden) + shortcut)
        return layers.dense(layers.mean(hidden), next(take), next(take))


class Separable:
    """Three depthwise-separable blocks as in MobileNet (Howard et al., 2017), on 32×32×64."""

    IMAGE = 32, 32, 64
    BLOCKS = (64, 64, 1), (64, 128, 2), (128, 128, 1)  # inputs, outputs, stride

    def values(self):
        values = Values()
        for inputs, outputs, _ in self.BLOCKS:
            values.weights(3, 3, inputs, 1)
            values.norm(inputs)
            values.weights(1, 1, inputs, outputs)
            values.norm(outputs)
        values.weights(128, 10)
        values.bias(10)
        return values

    def __call__(self, layers, trained, images):
        take, hidden = iter(trained), images
        for _, _, stride in self.BLOCKS:
            hidden = layers.depthwise(hidden, next(take), stride)
            hidden = layers.relu(layers.norm(hidden, next(take), next(take)))
            hidden = layers.conv(hidden, next(take))
            hidden = layers.relu(layers.norm(hidden, next(take), next(take)))
        return layers.dense(layers.mean(hidden), next(take), next(take))


class VGG:
    """VGG-11 (Simonyan and Zisserman, 2015) with half its channels, for images of 96×96 pixels."""

    IMAGE = 96, 96, 3
    BLOCKS = (32,), (64,), (128, 128), (256, 256), (256, 256)

    def values(self):
        values, inputs = Values(), 3
        for outputs in sum(self.BLOCKS, ()):
            values.weights(3, 3, inputs, outputs)
            values.bias(outputs)
            inputs = outputs
        for shape in ((3 * 3 * 256, 512), (512, 512), (512, 10)):
            values.weights(*shape)
            values.bias(shape[-1])
        return values

    def __call__(self, layers, trained, images):
        take, hidden = iter(trained), images
        for block in self.BLOCKS:
            for _ in block:
                hidden = layers.relu(layers.bias(layers.conv(hidden, next(take)), next(take)))
            hidden = layers.max_pool(hidden)
        hidden = layers.flatten(hidden)
        for _ in range(2):
            hidden = layers.relu(layers.dense(hidden, next(take), next(take)))
        return layers.dense(hidden, next(take), next(take))
