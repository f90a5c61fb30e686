"""Learns to tell simple shapes apart with a small residual network, as a TensorFlow 1.x program.

    millstream run examples/resnet.py

Residual blocks of convolutions with batch normalisation (He et al., 2016, "Deep residual learning for image
recognition"), trained by gradient descent with momentum. The data are discs, rings, squares, triangles and crosses
drawn on the fly: turned, moved, of random size and colours, under noise.
"""
import numpy as np
import tensorflow as tf

IMAGE_SIZE = 32
BLOCKS_PER_STAGE, STAGES = 1, (16, 32, 64)  # channels; each stage but the first halves the image
REGULARIZATION_RATE = 1e-4
BATCH_SIZE, STEPS = 64, 200
LEARNING_RATE, MOMENTUM = 0.1, 0.9
SEED = 1

# Each tells which points belong to a shape that fills about the unit circle.
SHAPES = {
    "disc": lambda u, v: np.hypot(u, v) < 0.9,
    "ring": lambda u, v: abs(np.hypot(u, v) - 0.75) < 0.25,
    "square": lambda u, v: np.maximum(abs(u), abs(v)) < 0.8,
    "triangle": lambda u, v: (v > -0.5) & (np.sqrt(3) * abs(u) + v < 1),
    "cross": lambda u, v: (np.minimum(abs(u), abs(v)) < 0.3) & (np.maximum(abs(u), abs(v)) < 1),
}


def drawings(rng, count):
    """Returns images, float32 [count, 32, 32, 3] around 0, and the numbers of their shapes, int32 [count]."""
    labels = rng.randint(0, len(SHAPES), count)
    angle, radius = rng.uniform(0, 2 * np.pi, count), rng.uniform(6, 12, count)
    top, left = rng.uniform(12, IMAGE_SIZE - 12, (2, count))
    points = np.mgrid[:IMAGE_SIZE, :IMAGE_SIZE]
    images = rng.normal(0, 0.3, (count, IMAGE_SIZE, IMAGE_SIZE, 3))
    images += rng.uniform(-1, 0, (count, 1, 1, 3))
    for i, shape in enumerate(np.array(list(SHAPES.values()))[labels]):
        y, x = (points[0] - top[i]) / radius[i], (points[1] - left[i]) / radius[i]
        turned = x * np.cos(angle[i]) - y * np.sin(angle[i]), x * np.sin(angle[i]) + y * np.cos(angle[i])
        images[i, shape(*turned)] += rng.uniform(0.5, 1.5, 3)
    return images.astype(np.float32), labels.astype(np.int32)


def convolve(inputs, channels, training, size=3, stride=1):
    """A convolution without biases, and batch normalisation."""
    outputs = tf.layers.conv2d(inputs, channels, size, stride, padding="same", use_bias=False,
                               kernel_initializer=tf.variance_scaling_initializer(scale=2.0),
                               kernel_regularizer=tf.contrib.layers.l2_regularizer(REGULARIZATION_RATE))
    return tf.layers.batch_normalization(outputs, momentum=0.9, training=training)


def residual_block(inputs, channels, training, stride):
    """Two convolutions around which the inputs go by a shortcut: as they are, or projected to the outputs' shape."""
    shortcut = inputs
    if stride > 1 or inputs.shape[3] != channels:
        shortcut = convolve(inputs, channels, training, size=1, stride=stride)
    hidden = tf.nn.relu(convolve(inputs, channels, training, stride=stride))
    return tf.nn.relu(shortcut + convolve(hidden, channels, training))


def resnet(images, training):
    """The network: images [n, 32, 32, 3] to unscaled log probabilities [n, 5]."""
    hidden = tf.nn.relu(convolve(images, STAGES[0], training))
    for stage, channels in enumerate(STAGES):
        for block in range(BLOCKS_PER_STAGE):
            stride = 2 if stage > 0 and block == 0 else 1
            hidden = residual_block(hidden, channels, training, stride)
    return tf.layers.dense(tf.reduce_mean(hidden, axis=[1, 2]), len(SHAPES))


def main(_):
    tf.set_random_seed(SEED)
    rng = np.random.RandomState(SEED)
    images = tf.placeholder(tf.float32, [None, IMAGE_SIZE, IMAGE_SIZE, 3], name="images")
    labels = tf.placeholder(tf.int32, [None], name="labels")
    training = tf.placeholder_with_default(False, [], name="training")

    logits = resnet(images, training)
    loss = tf.losses.sparse_softmax_cross_entropy(labels, logits) + tf.losses.get_regularization_loss()
    global_step = tf.train.get_or_create_global_step()
    rate = tf.train.cosine_decay(LEARNING_RATE, global_step, STEPS)
    descend = tf.train.MomentumOptimizer(rate, MOMENTUM).minimize(loss, global_step)
    # What keeps the moving means and variances of batch normalisation up to date.
    train_op = tf.group(descend, *tf.get_collection(tf.GraphKeys.UPDATE_OPS))
    correct = tf.equal(tf.argmax(logits, 1, output_type=tf.int32), labels)
    accuracy = tf.reduce_mean(tf.cast(correct, tf.float32))

    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for step in range(1, STEPS + 1):
            x, y = drawings(rng, BATCH_SIZE)
            _, loss_value = sess.run([train_op, loss], {images: x, labels: y, training: True})
            if step % 25 == 0:
                print(f"step {step:4d}  loss {loss_value:.4f}")
        x, y = drawings(rng, 1000)
        print(f"test accuracy {sess.run(accuracy, {images: x, labels: y}):.3f}")


if __name__ == "__main__":
    tf.app.run()
