"""Learns to see in which direction stripes run, with a VGG-style network, as a TensorFlow 1.x program.

    millstream run examples/vgg.py

Blocks of 3×3 convolutions, each ending with a pooling layer, then dense layers with dropout. The data are gratings
drawn on the fly: stripes of random width, phase and colours under noise, in one of eight directions.
"""
import numpy as np
import tensorflow as tf

IMAGE_SIZE, DIRECTIONS = 32, 8
BLOCKS = [(2, 16), (2, 32), (2, 64)]  # how many convolutions, of how many channels
HIDDEN_UNITS, DROPOUT_RATE = 128, 0.5
BATCH_SIZE, STEPS, LEARNING_RATE = 64, 300, 1e-3
SEED = 1


def gratings(rng, count):
    """Returns images, float32 [count, 32, 32, 3] around 0, and the numbers of their directions, int32 [count]."""
    labels = rng.randint(0, DIRECTIONS, count)
    angle = (np.pi * labels / DIRECTIONS)[:, None, None]
    frequency, phase = rng.uniform(0.4, 1.2, angle.shape), rng.uniform(0, 2 * np.pi, angle.shape)
    y, x = np.mgrid[:IMAGE_SIZE, :IMAGE_SIZE]
    stripes = np.sin(frequency * (x * np.cos(angle) + y * np.sin(angle)) + phase)
    colours = rng.uniform(-1, 1, (count, 1, 1, 3))
    noise = rng.normal(0, 0.5, stripes.shape + (3,))
    return (stripes[..., None] * colours + noise).astype(np.float32), labels.astype(np.int32)


def layer(name, product, inputs, shape, activation=tf.nn.relu):
    """activation(product(inputs, weights) + biases); `shape` is that of the weights."""
    with tf.variable_scope(name):
        weights = tf.get_variable("weights", shape, initializer=tf.variance_scaling_initializer(scale=2.0))
        biases = tf.get_variable("biases", shape[-1:], initializer=tf.zeros_initializer())
        return activation(tf.nn.bias_add(product(inputs, weights), biases))


def convolve(inputs, weights):
    return tf.nn.conv2d(inputs, weights, strides=[1, 1, 1, 1], padding="SAME")


def vgg(images, dropout_rate):
    """The network: images [n, 32, 32, 3] to unscaled log probabilities [n, 8]."""
    hidden = images
    for block, (convolutions, channels) in enumerate(BLOCKS, 1):
        for i in range(1, convolutions + 1):
            shape = [3, 3, hidden.shape[3].value, channels]
            hidden = layer(f"conv{block}_{i}", convolve, hidden, shape)
        hidden = tf.nn.max_pool(hidden, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="SAME")
    features = np.prod(hidden.shape.as_list()[1:])
    hidden = layer("fc1", tf.matmul, tf.reshape(hidden, [-1, features]), [features, HIDDEN_UNITS])
    hidden = tf.nn.dropout(hidden, rate=dropout_rate)
    return layer("fc2", tf.matmul, hidden, [HIDDEN_UNITS, DIRECTIONS], activation=tf.identity)


def main(_):
    tf.set_random_seed(SEED)
    rng = np.random.RandomState(SEED)
    images = tf.placeholder(tf.float32, [None, IMAGE_SIZE, IMAGE_SIZE, 3], name="images")
    labels = tf.placeholder(tf.int32, [None], name="labels")
    dropout_rate = tf.placeholder_with_default(0.0, [], name="dropout_rate")

    logits = vgg(images, dropout_rate)
    loss = tf.losses.sparse_softmax_cross_entropy(labels, logits)
    global_step = tf.train.get_or_create_global_step()
    rate = tf.train.cosine_decay(LEARNING_RATE, global_step, STEPS)
    train_op = tf.train.AdamOptimizer(rate).minimize(loss, global_step)
    correct = tf.equal(tf.argmax(logits, 1, output_type=tf.int32), labels)
    accuracy = tf.reduce_mean(tf.cast(correct, tf.float32))

    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for step in range(1, STEPS + 1):
            x, y = gratings(rng, BATCH_SIZE)
            feed = {images: x, labels: y, dropout_rate: DROPOUT_RATE}
            _, loss_value = sess.run([train_op, loss], feed)
            if step % 50 == 0:
                print(f"step {step:4d}  loss {loss_value:.4f}")
        x, y = gratings(rng, 1000)
        print(f"test accuracy {sess.run(accuracy, {images: x, labels: y}):.3f}")


if __name__ == "__main__":
    tf.app.run()
