"""Learns to continue a sine wave with a recurrent network, as a TensorFlow 1.x program.

    millstream run examples/sine_lstm.py

Two LSTM layers read ten samples of the wave and predict the next one. Training sees the wave's first hundred time
units; the program then predicts the following ten, prints the root mean square error, and saves a plot of
prediction and truth (--plot, `sine_lstm.png` by default).
"""
import line_plot
import numpy as np
import tensorflow as tf

HIDDEN_UNITS, LAYERS = 30, 2
WINDOW, SAMPLE_GAP = 10, 0.01
TRAINING_EXAMPLES, TEST_EXAMPLES = 10000, 1000
BATCH_SIZE, LEARNING_RATE = 32, 0.1
FINE_TUNING, FINE_TUNING_RATE = 0.1, 0.01  # the last part of the training, and the learning rate in it

tf.app.flags.DEFINE_integer("steps", 12000, "training steps")
tf.app.flags.DEFINE_integer("seed", 1, "seed of the initial weights and of the batches' order")
tf.app.flags.DEFINE_string("plot", "sine_lstm.png", "file to save the plot in")
FLAGS = tf.app.flags.FLAGS


def examples(start, count):
    """Returns windows of the wave, float32 [count, 10, 1], and the samples that follow them, float32 [count, 1]."""
    wave = np.sin(SAMPLE_GAP * np.arange(start, start + count + WINDOW)).astype(np.float32)
    windows = np.stack([wave[i:i + count] for i in range(WINDOW)], axis=1)
    return windows[..., np.newaxis], wave[WINDOW:, np.newaxis]


def batches(windows, targets, rng):
    """Yields batches for ever, in a new order each time through the examples."""
    while True:
        order = rng.permutation(len(targets))
        for start in range(0, len(order) - BATCH_SIZE + 1, BATCH_SIZE):
            chosen = order[start:start + BATCH_SIZE]
            yield windows[chosen], targets[chosen]


def predict(windows):
    """The network: windows [n, 10, 1] to the next samples [n, 1]."""
    cells = [tf.nn.rnn_cell.BasicLSTMCell(HIDDEN_UNITS) for _ in range(LAYERS)]
    outputs, _ = tf.nn.dynamic_rnn(tf.nn.rnn_cell.MultiRNNCell(cells), windows, dtype=tf.float32)
    return tf.contrib.layers.fully_connected(outputs[:, -1], 1, activation_fn=None)


def learning_rate(rate, step):
    """The decay that `optimize_loss` asks for: small steps at the end, so that where it ends is not left to chance."""
    fine_tuning = int((1 - FINE_TUNING) * FLAGS.steps)
    return tf.train.piecewise_constant(step, [fine_tuning], [rate, FINE_TUNING_RATE])


def main(_):
    tf.set_random_seed(FLAGS.seed)
    training = batches(*examples(0, TRAINING_EXAMPLES), rng=np.random.RandomState(FLAGS.seed))
    test_windows, truth = examples(TRAINING_EXAMPLES, TEST_EXAMPLES)

    windows = tf.placeholder(tf.float32, [None, WINDOW, 1], name="windows")
    targets = tf.placeholder(tf.float32, [None, 1], name="targets")
    predictions = predict(windows)
    loss = tf.losses.mean_squared_error(targets, predictions)
    train_op = tf.contrib.layers.optimize_loss(
        loss, tf.train.get_or_create_global_step(), LEARNING_RATE, optimizer="Adagrad",
        learning_rate_decay_fn=learning_rate)

    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for step, (x, y) in zip(range(1, FLAGS.steps + 1), training):
            loss_value = sess.run(train_op, {windows: x, targets: y})
            if step % 1000 == 0:
                print(f"step {step:5d}  loss {loss_value:.6f}")
        predicted = sess.run(predictions, {windows: test_windows})

    curves = {"truth": truth[:, 0], "prediction": predicted[:, 0]}
    line_plot.save(FLAGS.plot, curves, "The next samples of the sine wave")
    print(f"saved {FLAGS.plot}")
    print(f"test RMSE {np.sqrt(np.mean(np.square(predicted - truth))):.6f}")


if __name__ == "__main__":
    tf.app.run()
