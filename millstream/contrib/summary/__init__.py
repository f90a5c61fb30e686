"""`tf.contrib.summary`: summaries that operations write to event files as they run."""
