"""Learns to read handwritten digits with a LeNet-style convolutional network, as a TensorFlow 1.x program.

    millstream run examples/lenet.py

Two convolutions, each with a pooling layer behind it, then a hidden layer with dropout. It trains on 8,000 real
MNIST digits with a decaying learning rate and L2 regularisation of the dense layers, and keeps moving averages of
all weights. Every 250 steps it prints how many of 1,000 further digits the averaged weights read correctly, and at
the end their accuracy on 1,000 test digits.
"""
import tensorflow as tf
from mnist import BATCH_SIZE, CLASSES, IMAGE_PIXELS, VALIDATION_DIGITS, batches, read_digits

IMAGE_SIZE = 28
STEPS = 1500
LEARNING_RATE, LEARNING_RATE_DECAY = 0.05, 0.95
REGULARIZATION_RATE = 1e-4
AVERAGING_DECAY = 0.99
SEED = 1


def weights_and_biases(shape, initial_bias, regularizer=None):
    """Variables of the current variable scope; `shape` ends with the number of outputs."""
    weights = tf.get_variable("weights", shape, regularizer=regularizer,
                              initializer=tf.truncated_normal_initializer(stddev=0.1))
    biases = tf.get_variable("biases", shape[-1:], initializer=tf.constant_initializer(initial_bias))
    return weights, biases


def convolve_and_pool(inputs, channels):
    """A 5×5 convolution with ReLU and a 2×2 maximum: [n, h, w, c] to [n, h/2, w/2, channels]."""
    weights, biases = weights_and_biases([5, 5, inputs.shape[3].value, channels], initial_bias=0.0)
    convolved = tf.nn.conv2d(inputs, weights, strides=[1, 1, 1, 1], padding="SAME")
    activated = tf.nn.relu(tf.nn.bias_add(convolved, biases))
    return tf.nn.max_pool(activated, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="SAME")


def dense(inputs, units):
    """inputs · weights + biases, the weights regularised."""
    regularizer = tf.contrib.layers.l2_regularizer(REGULARIZATION_RATE)
    weights, biases = weights_and_biases([inputs.shape[1].value, units], 0.1, regularizer)
    return tf.matmul(inputs, weights) + biases


def logits(images, dropout_rate=0.0):
    """The network: images [n, 784] to unscaled log probabilities [n, 10]."""
    pixels = tf.reshape(images, [-1, IMAGE_SIZE, IMAGE_SIZE, 1])
    with tf.variable_scope("convolution1"):
        strokes = convolve_and_pool(pixels, 32)
    with tf.variable_scope("convolution2"):
        shapes = convolve_and_pool(strokes, 64)
    features = tf.reshape(shapes, [-1, 7 * 7 * 64])
    with tf.variable_scope("dense1"):
        hidden = tf.nn.relu(dense(features, 512))
    if dropout_rate:
        hidden = tf.nn.dropout(hidden, rate=dropout_rate)
    with tf.variable_scope("dense2"):
        return dense(hidden, CLASSES)


def training(images, labels, steps_per_epoch):
    """Returns the operation of one training step, the loss, and the moving averages that the step updates."""
    with tf.variable_scope("model"):
        outputs = logits(images, dropout_rate=0.5)
    cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=outputs)
    loss = tf.reduce_mean(cross_entropy) + tf.losses.get_regularization_loss()
    global_step = tf.train.get_or_create_global_step()
    rate = tf.train.exponential_decay(LEARNING_RATE, global_step, steps_per_epoch, LEARNING_RATE_DECAY)
    descend = tf.train.GradientDescentOptimizer(rate).minimize(loss, global_step=global_step)
    averages = tf.train.ExponentialMovingAverage(AVERAGING_DECAY, global_step)
    with tf.control_dependencies([descend]):
        train_op = averages.apply(tf.trainable_variables())
    return train_op, loss, averages


def averaged_accuracy(images, labels, averages):
    """The part of the digits that the network reads correctly with the averaged weights, without dropout."""
    def averaged(getter, *args, **kwargs):
        return averages.average(getter(*args, **kwargs))

    with tf.variable_scope("model", reuse=True, custom_getter=averaged):
        predictions = tf.argmax(logits(images), 1, output_type=tf.int32)
    return tf.reduce_mean(tf.cast(tf.equal(predictions, labels), tf.float32))


def main(_):
    train_images, train_labels = read_digits("train")
    validation = train_images[:VALIDATION_DIGITS], train_labels[:VALIDATION_DIGITS]
    learned = train_images[VALIDATION_DIGITS:], train_labels[VALIDATION_DIGITS:]
    test = read_digits("t10k")

    tf.set_random_seed(SEED)
    images = tf.placeholder(tf.float32, [None, IMAGE_PIXELS], name="images")
    labels = tf.placeholder(tf.int32, [None], name="labels")
    train_op, loss, averages = training(images, labels, steps_per_epoch=len(learned[1]) // BATCH_SIZE)
    accuracy = averaged_accuracy(images, labels, averages)

    def feed(digits):
        return dict(zip((images, labels), digits))

    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for step, batch in zip(range(1, STEPS + 1), batches(*learned, first_step=0)):
            _, loss_value = sess.run([train_op, loss], feed(batch))
            if step % 250 == 0:
                correct = sess.run(accuracy, feed(validation))
                print(f"step {step:5d}  loss {loss_value:.4f}  validation accuracy {correct:.3f}")
        print(f"test accuracy {sess.run(accuracy, feed(test)):.3f}")


if __name__ == "__main__":
    tf.app.run()
