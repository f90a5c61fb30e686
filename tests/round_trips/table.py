"""The table of round trips: the artefacts, and who reads what of whom. For Python 3.7 and newer."""
from round_trips import checkpoints, graphs, logs, models
from round_trips.systems import TENSORFLOW, TITLES

ARTEFACTS = {
    artefact.name: artefact for module in (checkpoints, graphs, models, logs) for artefact in module.ARTEFACTS
}


def written_by(system):
    """The artefacts that a system writes, without those that are other views of the same files."""
    return [each for each in ARTEFACTS.values() if system in each.writers and not each.files_of]


def read_from(writer):
    """The artefacts that are read of a writer's files."""
    return [each for each in ARTEFACTS.values() if writer in each.writers]


def as_markdown():
    """The table of the documentation: whose files Millstream reads, and who reads those of Millstream."""
    rows = [["", *(f"from {TITLES[name]}" for name in TENSORFLOW), *(f"to {TITLES[name]}" for name in TENSORFLOW)]]
    rows.append(["---"] * len(rows[0]))
    for each in ARTEFACTS.values():
        read = "no" if "millstream" in each.cannot else "yes"
        reads = [read if name in each.writers else "–" for name in TENSORFLOW]
        rows.append([each.title, *reads, *("no" if name in each.cannot else "yes" for name in TENSORFLOW)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
