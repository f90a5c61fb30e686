"""Learns to write fables letter by letter with a recurrent network, as a TensorFlow 1.x program.

    millstream run examples/char_lm.py [--steps 1200] [--sample 600] [--temperature 0.5] [--seed 1]

Two LSTM layers read `data/fables.txt`, which was written for this example, and predict each next character. The text
is cut into streams that are read side by side, a piece of each at a time; the state of the network is carried from
piece to piece, gradients stay within one (truncated backpropagation through time). The program prints how many bits a
character of the text's last tenth takes, which it does not train on, and at the end writes a text of its own.
"""
import os

import numpy as np
import tensorflow as tf

TEXT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data", "fables.txt")
UNITS, LAYERS, EMBEDDING = 128, 2, 32
STREAMS, PIECE = 32, 40
LEARNING_RATE, LARGEST_NORM = 0.01, 5.0

tf.app.flags.DEFINE_integer("steps", 1200, "training steps")
tf.app.flags.DEFINE_integer("sample", 600, "how many characters to write at the end")
tf.app.flags.DEFINE_float("temperature", 0.5, "how daring the writing is: towards 0 the likeliest character is taken")
tf.app.flags.DEFINE_integer("seed", 1, "seed of the initial weights and of the writing")
FLAGS = tf.app.flags.FLAGS


def read_text():
    """Returns the characters that there are, and the text as their numbers, int32 [length]."""
    with open(TEXT) as f:
        text = f.read()
    characters = sorted(set(text))
    return characters, np.array([characters.index(character) for character in text], np.int32)


def pieces(text, streams):
    """Returns the pieces of the text: (symbols, following symbols), each int32 [streams, PIECE]."""
    steps = (len(text) - 1) // streams // PIECE * PIECE
    symbols, following = (text[i:i + streams * steps].reshape(streams, steps) for i in (0, 1))
    return [(symbols[:, i:i + PIECE], following[:, i:i + PIECE]) for i in range(0, steps, PIECE)]


def network(symbols, characters):
    """Symbols [streams, steps] to unscaled log probabilities of what follows each, with the states before and after."""
    cell = tf.nn.rnn_cell.MultiRNNCell([tf.nn.rnn_cell.BasicLSTMCell(UNITS) for _ in range(LAYERS)])
    before = cell.zero_state(tf.shape(symbols)[0], tf.float32)
    embedding = tf.get_variable("embedding", [characters, EMBEDDING])
    outputs, after = tf.nn.dynamic_rnn(cell, tf.nn.embedding_lookup(embedding, symbols), initial_state=before)
    return tf.layers.dense(outputs, characters, name="output"), before, after


def minimize(loss):
    """Returns the operation of one training step, its gradients clipped."""
    global_step = tf.train.get_or_create_global_step()
    rate = tf.train.cosine_decay(LEARNING_RATE, global_step, FLAGS.steps)
    variables = tf.trainable_variables()
    gradients, _ = tf.clip_by_global_norm(tf.gradients(loss, variables), LARGEST_NORM)
    return tf.train.AdamOptimizer(rate).apply_gradients(zip(gradients, variables), global_step)


class Model:
    """The network in a session; it is fed the state that its last run has left."""

    def __init__(self, characters):
        self.symbols = tf.placeholder(tf.int32, [None, None], name="symbols")
        self.following = tf.placeholder(tf.int32, [None, None], name="following")
        self.logits, self.before, self.after = network(self.symbols, characters)
        cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=self.following, logits=self.logits)
        self.loss = tf.reduce_mean(cross_entropy)
        self.train = minimize(self.loss)
        self.session = tf.Session()
        self.session.run(tf.global_variables_initializer())

    def run(self, fetches, symbols, following=None, state=None):
        """Returns the fetches' values and the state afterwards. Without a state it starts from zeros."""
        feed = {self.symbols: symbols}
        if following is not None:
            feed[self.following] = following
        if state is not None:
            feed[self.before] = state
        return self.session.run([fetches, self.after], feed)

    def bits(self, text):
        """Returns how many bits a character of the text takes on average."""
        losses, state = [], None
        for symbols, following in pieces(text, streams=1):
            loss, state = self.run(self.loss, symbols, following, state)
            losses.append(loss)
        return np.mean(losses) / np.log(2)

    def write(self, symbol, count, temperature, rng):
        """Yields `count` symbols that follow `symbol`, each drawn by its probability and read again."""
        state = None
        for _ in range(count):
            logits, state = self.run(self.logits, [[symbol]], state=state)
            # The largest of logits with Gumbel noise is a draw from their softmax (Gumbel, 1954).
            symbol = np.argmax(logits[0, 0] / temperature + rng.gumbel(size=logits.shape[2]))
            yield symbol


def main(_):
    tf.set_random_seed(FLAGS.seed)
    characters, text = read_text()
    test = text[len(text) // 10 * 9:]
    training = pieces(text[:-len(test)], STREAMS)
    model = Model(len(characters))

    state, losses = None, []
    for step in range(1, FLAGS.steps + 1):
        place = (step - 1) % len(training)
        (_, loss), state = model.run([model.train, model.loss], *training[place], state=state if place else None)
        losses.append(loss)
        if step % 200 == 0:
            bits = np.mean(losses[-len(training):]) / np.log(2)
            print(f"step {step:5d}  bits per character {bits:.3f}, of the test text {model.bits(test):.3f}")

    rng = np.random.RandomState(FLAGS.seed)
    symbols = model.write(characters.index("\n"), FLAGS.sample, FLAGS.temperature, rng)
    print("\n" + "".join(characters[symbol] for symbol in symbols) + "\n")
    print(f"test bits per character {model.bits(test):.3f}")


if __name__ == "__main__":
    tf.app.run()
