"""Layers of LSTM cells (Hochreiter and Schmidhuber, 1997) in each system: what recurrent workloads share.

All have the form of TensorFlow's BasicLSTMCell: a layer has one kernel [inputs + units, 4 * units] for the input gate,
the new content, and the forget and output gates, in this order; 1 is added to what opens the forget gate.
"""
import numpy as np


class LSTM:
    """Layers over sequences [batch, steps, inputs]; they give the last layer's outputs [batch, steps, units].

    A state is a list of each layer's content and output, [batch, units].
    """

    def __init__(self, inputs, units, layers=2):
        self._units, self._inputs = units, [inputs] + [units] * (layers - 1)

    def values(self, rng):
        """Returns initial values: each layer's kernel and bias."""
        sizes = [(inputs + self._units, 4 * self._units) for inputs in self._inputs]
        return [value for size in sizes
                for value in (rng.uniform(-0.1, 0.1, size).astype(np.float32), np.zeros(size[1], np.float32))]

    def zero_state(self, batch):
        return [np.zeros((batch, self._units), np.float32) for _ in self._inputs for _ in "ch"]

    def cells(self, tf):
        """The layers as one cell of TensorFlow 1.x; its variables have the order of `values`."""
        return tf.nn.rnn_cell.MultiRNNCell([tf.nn.rnn_cell.BasicLSTMCell(self._units) for _ in self._inputs])

    def in_tf2(self, tf, trained, sequences, state):
        """Returns outputs and the last state, by a `tf.while_loop`: it takes less time than Keras's layers."""
        steps = tf.shape(sequences)[1]
        inputs = tf.TensorArray(tf.float32, steps).unstack(tf.transpose(sequences, [1, 0, 2]))

        def advance(step, outputs, state):
            x, following = inputs.read(step), []
            for kernel, bias, c, h in zip(trained[::2], trained[1::2], state[::2], state[1::2]):
                gates = tf.matmul(tf.concat([x, h], 1), kernel) + bias
                i, j, f, o = tf.split(gates, 4, axis=1)
                c = c * tf.sigmoid(f + 1.0) + tf.sigmoid(i) * tf.tanh(j)
                x = tf.tanh(c) * tf.sigmoid(o)
                following += [c, x]
            return step + 1, outputs.write(step, x), following

        first = 0, tf.TensorArray(tf.float32, steps), list(state)
        _, outputs, state = tf.while_loop(lambda step, *_: step < steps, advance, first)
        return tf.transpose(outputs.stack(), [1, 0, 2]), state

    def in_torch(self, values):
        """Returns a torch.nn.LSTM with these values."""
        import torch

        module = torch.nn.LSTM(self._inputs[0], self._units, len(self._inputs), batch_first=True)
        with torch.no_grad():
            for layer, inputs in enumerate(self._inputs):
                kernel, bias = (self._torch_gates(value) for value in values[2 * layer:2 * layer + 2])
                input_weights, hidden_weights, input_bias, hidden_bias = module.all_weights[layer]
                input_weights.copy_(kernel[:, :inputs])
                hidden_weights.copy_(kernel[:, inputs:])
                input_bias.copy_(bias)
                input_bias[self._units:2 * self._units] += 1.0
                hidden_bias.zero_().requires_grad_(False)  # a second bias, which the other systems do not have
        return module

    def _torch_gates(self, value):
        """Transposes a kernel or bias and brings its gates in PyTorch's order: input, forget, new content, output."""
        import torch

        i, j, f, o = np.split(value.T, 4)
        return torch.from_numpy(np.concatenate([i, f, j, o]))

    def in_jax(self, trained, sequences, state):
        """Returns outputs and the last state, by a scan for each layer."""
        import jax
        import jax.numpy as jnp

        x, following = sequences.swapaxes(0, 1), []
        for kernel, bias, *first in zip(trained[::2], trained[1::2], state[::2], state[1::2]):

            def advance(carry, x, kernel=kernel, bias=bias):
                c, h = carry
                gates = jnp.concatenate([x, h], 1) @ kernel + bias
                i, j, f, o = jnp.split(gates, 4, axis=1)
                c = c * jax.nn.sigmoid(f + 1.0) + jax.nn.sigmoid(i) * jnp.tanh(j)
                h = jnp.tanh(c) * jax.nn.sigmoid(o)
                return (c, h), h

            last, x = jax.lax.scan(advance, tuple(first), x)
            following += last
        return x.swapaxes(0, 1), following
