"""Learns to read handwritten digits: the classic 784-500-10 network, as a TensorFlow 1.x program.

    millstream run examples/mnist.py

It trains on 8,000 real MNIST digits with L2 regularisation and a decaying learning rate, and keeps moving
averages of the weights. Every thousand steps it prints how many of 1,000 further digits the averaged weights
read correctly, and at the end their accuracy on 1,000 test digits.

    millstream run examples/mnist.py --checkpoint_dir=model

saves its variables then, too. When it is started again, after whatever has stopped it, it goes on from there with the
very numbers that it would have had: all that a step depends on is in the variables and in its number.
"""
import gzip
import itertools
import os

import numpy as np
import tensorflow as tf

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data", "mnist10k")
IMAGE_PIXELS, HIDDEN_UNITS, CLASSES = 784, 500, 10
VALIDATION_DIGITS = 1000
BATCH_SIZE = 100
LEARNING_RATE, LEARNING_RATE_DECAY = 0.8, 0.99
REGULARIZATION_RATE = 1e-4
AVERAGING_DECAY = 0.99
SEED = 1

tf.app.flags.DEFINE_integer("steps", 5000, "training steps; a report follows each fifth of them and the last")
tf.app.flags.DEFINE_string("checkpoint_dir", None, "folder in which to save the training, and to go on with it")
FLAGS = tf.app.flags.FLAGS


def read_idx(name, header):
    """Returns the bytes of an IDX file after its header."""
    with gzip.open(os.path.join(DATA, name)) as f:
        return np.frombuffer(f.read(), np.uint8, offset=header)


def read_digits(part):
    """Returns a part's ("train" or "t10k") images, float32 [n, 784] in 0..1, and its labels, int32 [n]."""
    images = read_idx(part + "-images-idx3-ubyte.gz", header=16).reshape(-1, IMAGE_PIXELS)
    labels = read_idx(part + "-labels-idx1-ubyte.gz", header=8)
    return images.astype(np.float32) / 255, labels.astype(np.int32)


def batches(images, labels, first_step):
    """Yields the batches of the steps from first_step on, for ever; the order is new each time through the digits."""
    rng = np.random.RandomState(SEED)
    starts = range(0, len(labels), BATCH_SIZE)
    for step in itertools.count():
        if step % len(starts) == 0:
            order = rng.permutation(len(labels))
        if step >= first_step:
            start = starts[step % len(starts)]
            chosen = order[start:start + BATCH_SIZE]
            yield images[chosen], labels[chosen]


def dense(inputs, units):
    """inputs · weights + biases, with variables of the current variable scope."""
    weights = tf.get_variable("weights", [inputs.shape[1], units],
                              initializer=tf.truncated_normal_initializer(stddev=0.1))
    biases = tf.get_variable("biases", [units], initializer=tf.constant_initializer(0.1))
    return tf.matmul(inputs, weights) + biases


def logits(images):
    """The network: images [n, 784] to unscaled log probabilities [n, 10]."""
    with tf.variable_scope("layer1"):
        hidden = tf.nn.relu(dense(images, HIDDEN_UNITS))
    with tf.variable_scope("layer2"):
        return dense(hidden, CLASSES)


def total_loss(images, labels):
    """Mean cross-entropy plus whatever the collection "losses" holds."""
    regularizer = tf.contrib.layers.l2_regularizer(REGULARIZATION_RATE)
    with tf.variable_scope("model"):
        cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits(images))
    for weights in tf.trainable_variables():
        if weights.op.name.endswith("weights"):
            tf.add_to_collection("losses", regularizer(weights))
    return tf.add_n([tf.reduce_mean(cross_entropy)] + tf.get_collection("losses"))


def build(images, labels, steps_per_epoch):
    """Returns the operation of one training step, the loss, and the accuracy of the averaged weights."""
    loss = total_loss(images, labels)
    global_step = tf.train.get_or_create_global_step()
    rate = tf.train.exponential_decay(LEARNING_RATE, global_step, steps_per_epoch, LEARNING_RATE_DECAY)
    descend = tf.train.GradientDescentOptimizer(rate).minimize(loss, global_step=global_step)
    averages = tf.train.ExponentialMovingAverage(AVERAGING_DECAY, global_step)
    average = averages.apply(tf.trainable_variables())
    with tf.control_dependencies([descend, average]):
        train_op = tf.no_op(name="train")

    def averaged(getter, *args, **kwargs):
        return averages.average(getter(*args, **kwargs))

    with tf.variable_scope("model", reuse=True, custom_getter=averaged):
        predictions = tf.argmax(logits(images), 1, output_type=tf.int32)
    accuracy = tf.reduce_mean(tf.cast(tf.equal(predictions, labels), tf.float32))
    return train_op, loss, accuracy


def main(_):
    train_images, train_labels = read_digits("train")
    validation = train_images[:VALIDATION_DIGITS], train_labels[:VALIDATION_DIGITS]
    training = train_images[VALIDATION_DIGITS:], train_labels[VALIDATION_DIGITS:]
    test = read_digits("t10k")

    tf.set_random_seed(SEED)
    images = tf.placeholder(tf.float32, [None, IMAGE_PIXELS], name="images")
    labels = tf.placeholder(tf.int32, [None], name="labels")
    train_op, loss, accuracy = build(images, labels, steps_per_epoch=len(training[1]) // BATCH_SIZE)

    def feed(digits):
        return dict(zip((images, labels), digits))

    saver, folder = tf.train.Saver(), FLAGS.checkpoint_dir
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        if folder:
            tf.gfile.MakeDirs(folder)
            checkpoint = tf.train.latest_checkpoint(folder)
            if checkpoint:
                saver.restore(sess, checkpoint)
        done = tf.train.global_step(sess, tf.train.get_global_step())
        interval = max(FLAGS.steps // 5, 1)
        for step, batch in zip(range(done + 1, FLAGS.steps + 1), batches(*training, first_step=done)):
            _, loss_value = sess.run([train_op, loss], feed(batch))
            if step % interval == 0 or step == FLAGS.steps:
                correct = sess.run(accuracy, feed(validation))
                print(f"step {step:5d}  loss {loss_value:.4f}  validation accuracy {correct:.3f}", flush=True)
                if folder:
                    saver.save(sess, os.path.join(folder, "mnist"), global_step=step)
        print(f"test accuracy {sess.run(accuracy, feed(test)):.3f}")


if __name__ == "__main__":
    tf.app.run()
