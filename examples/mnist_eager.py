"""Learns to read handwritten digits: a 784-500-10 network as a TensorFlow 2.x program without Keras.

    millstream run examples/mnist_eager.py

The network is a `tf.Module`, a training step a `tf.function` with a gradient tape. It trains on 9,000 real MNIST
digits and prints after each epoch how many of 1,000 further digits it reads correctly.
"""
import gzip
import os

import numpy as np
import tensorflow as tf

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data", "mnist10k")
IMAGE_PIXELS, HIDDEN_UNITS, CLASSES = 784, 500, 10
BATCH_SIZE = 100
EPOCHS = 10
LEARNING_RATE = 0.5
REGULARIZATION_RATE = 1e-4


def read_idx(name, header):
    """Returns the bytes of an IDX file after its header."""
    with gzip.open(os.path.join(DATA, name)) as f:
        return np.frombuffer(f.read(), np.uint8, offset=header)


def read_digits(part):
    """Returns a part's ("train" or "t10k") images, float32 [n, 784] in 0..1, and its labels, int32 [n]."""
    images = read_idx(part + "-images-idx3-ubyte.gz", header=16).reshape(-1, IMAGE_PIXELS)
    labels = read_idx(part + "-labels-idx1-ubyte.gz", header=8)
    return tf.constant(images.astype(np.float32) / 255), tf.constant(labels.astype(np.int32))


class Dense(tf.Module):
    """inputs · weights + biases; the variables are made when the number of inputs is known."""

    def __init__(self, units, name=None):
        super().__init__(name)
        self.units = units
        self.weights = None

    @tf.Module.with_name_scope
    def __call__(self, inputs):
        if self.weights is None:
            initial = tf.random.truncated_normal([inputs.shape[1], self.units], stddev=0.1)
            self.weights = tf.Variable(initial, name="weights")
            self.biases = tf.Variable(tf.fill([self.units], 0.1), name="biases")
        return inputs @ self.weights + self.biases


class Network(tf.Module):
    """Images [n, 784] to unscaled log probabilities [n, 10]."""

    def __init__(self):
        super().__init__("network")
        self.hidden = Dense(HIDDEN_UNITS, "hidden")
        self.output = Dense(CLASSES, "output")

    def __call__(self, images):
        return self.output(tf.nn.relu(self.hidden(images)))


network = Network()


@tf.function
def train(images, labels, rate):
    with tf.GradientTape() as tape:
        cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, network(images))
        weights = network.hidden.weights, network.output.weights
        loss = tf.reduce_mean(cross_entropy) + REGULARIZATION_RATE * tf.add_n([tf.nn.l2_loss(w) for w in weights])
    variables = network.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(loss, variables)):
        variable.assign_sub(rate * gradient)
    return loss


@tf.function
def accuracy(images, labels):
    read = tf.argmax(network(images), axis=1, output_type=tf.int32)
    return tf.reduce_mean(tf.cast(read == labels, tf.float32))


def main():
    tf.random.set_seed(1)
    images, labels = read_digits("train")
    test_images, test_labels = read_digits("t10k")
    count = images.shape[0]
    for epoch in range(EPOCHS):
        order = tf.random.shuffle(tf.range(count), seed=epoch)
        rate = tf.constant(LEARNING_RATE * 0.9 ** epoch)
        for start in range(0, count, BATCH_SIZE):
            chosen = order[start:start + BATCH_SIZE]
            loss = train(tf.gather(images, chosen), tf.gather(labels, chosen), rate)
        print(f"epoch {epoch + 1}: loss {loss:.4f}, accuracy {accuracy(test_images, test_labels):.3f}")
    print(f"test accuracy {accuracy(test_images, test_labels):.3f}")


if __name__ == "__main__":
    main()
