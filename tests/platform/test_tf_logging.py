"""`tf.logging`."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

import millstream.v1 as tf


@pytest.fixture(autouse=True)
def verbosity():
    old = logging.getLogger("tensorflow").level
    yield
    tf.logging.set_verbosity(old)


def test_levels(caplog):
    tf.logging.set_verbosity(tf.logging.WARN)
    assert tf.logging.get_verbosity() == tf.logging.WARN == 30
    tf.logging.info("hidden")
    tf.logging.warn("%s %s", "seen", 1)
    tf.logging.set_verbosity(tf.logging.DEBUG)
    for log in (tf.logging.debug, tf.logging.error, tf.logging.fatal, tf.logging.TaskLevelStatusMessage):
        log("seen")
    tf.logging.log(tf.logging.INFO, "seen")
    tf.logging.vlog(15, "seen")
    assert [record.levelno for record in caplog.records] == [30, 10, 40, 50, 40, 20, 15]
    assert {record.filename for record in caplog.records} == {"test_tf_logging.py"}
    assert caplog.records[0].getMessage() == "seen 1"


def test_counting(caplog):
    for number in range(5):
        tf.logging.log_every_n(tf.logging.ERROR, "every %d", 2, number)
        tf.logging.log_first_n(tf.logging.ERROR, "first %d", 2, number)
        tf.logging.log_if(tf.logging.ERROR, "if %d", number == 3, number)
    assert caplog.messages == ["every 0", "first 0", "first 1", "every 2", "if 3", "every 4"]


def test_flush_is_not_implemented():
    with pytest.raises(NotImplementedError):
        tf.logging.flush()


def test_by_default_warnings_go_to_standard_error():
    program = "import millstream.v1 as tf; tf.logging.info('a'); tf.logging.warning('b'); tf.logging.error('c')"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stderr == "WARNING:tensorflow:b\nERROR:tensorflow:c\n" and result.stdout == ""


def test_a_program_that_configures_logging_gets_its_own_format():
    program = (
        "import logging, millstream.v1 as tf; logging.basicConfig(format='<%(message)s>'); tf.logging.warning('b')"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stderr == "<b>\n"


def test_the_logger_is_pythons():
    program = (
        "import millstream.v1 as tf; logger = tf.get_logger(); print(logger.name, tf.logging.get_verbosity())\n"
        "logger.setLevel('INFO'); tf.logging.info('a'); tf.logging.set_verbosity('ERROR'); tf.logging.warning('b')\n"
        "print(tf.logging.get_verbosity())"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == "tensorflow 30\n40\n" and result.stderr == "INFO:tensorflow:a\n"
