"""Trains a small convolutional network for a few steps, which take the same course with native kernels and without."""
import numpy as np

import millstream.v1 as tf

random = np.random.RandomState(0)
images = random.rand(16, 12, 12, 3).astype(np.float32)
labels = random.randint(0, 4, 16)

filters = tf.get_variable("filters", [3, 3, 3, 8], initializer=tf.truncated_normal_initializer(stddev=0.1, seed=1))
weights = tf.get_variable("weights", [6 * 6 * 8, 4], initializer=tf.truncated_normal_initializer(stddev=0.1, seed=2))
hidden = tf.nn.relu(tf.nn.conv2d(images, filters, strides=[1, 1, 1, 1], padding="SAME"))
pooled = tf.nn.max_pool(hidden, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="SAME")
logits = tf.matmul(tf.reshape(pooled, [16, -1]), weights)
loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits))
train = tf.train.GradientDescentOptimizer(0.1).minimize(loss)

with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    losses = [session.run([train, loss])[1] for _ in range(5)]

print("losses:", *losses)
np.testing.assert_allclose(losses, [1.46257, 1.35110, 1.31429, 1.28245, 1.25076], rtol=1e-4)
