"""What all tests share."""
from __future__ import annotations

import pytest

import millstream
from millstream.core import context, graph, random_seed
from millstream.runtime import behavior


@pytest.fixture(autouse=True)
def behaviour_of_the_version(request):
    """Tests of modules that say `import millstream as tf` run as 2.x programs, all others as 1.x programs."""
    behavior.use(2 if getattr(request.module, "tf", None) is millstream else 1)


@pytest.fixture(autouse=True)
def no_global_seed():
    """No test leaves its seed to the next one."""
    with context.mode(True):
        random_seed.set_random_seed(None)


@pytest.fixture(autouse=True)
def own_default_graph():
    """No test finds in its graph what another one has built, nor is it inside of one that another has not left."""
    graph._stack.graphs.clear()
    graph._stack._modes.clear()
    context.current.eager = None
    graph.reset_default_graph()
