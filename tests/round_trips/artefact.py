"""What the artefacts of the round trips have in common. For Python 3.7 and newer."""


class Artefact:
    """A kind of files that one system writes and another one reads.

    `write` and `read` are programs that run in all systems. Those of version 1 build a graph, `write(tf, folder)`;
    those of version 2 run operations at once, `write(tf, v1, folder)`. `read` gives what it found, to be compared.
    """

    name = ""  # of the test, and of the folder in which the files lie
    title = ""  # in the documentation
    version = 1
    writers = ("millstream", "tf1", "tf2")
    same = ()  # the writers whose files have the contents of ours (`contents.py`)
    files_of = ""  # the artefact that wrote the files, if it is another one
    golden = {}  # writer -> what it wrote, below tests/, where that lies elsewhere
    cannot = {}  # reader -> what its error says: it cannot read this
