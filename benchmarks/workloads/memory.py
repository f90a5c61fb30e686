"""Resident memory of mlp_step's job after 500 training steps."""
from workloads.mlp_step import graph, in_jax, in_tf2, in_torch  # noqa: F401  (the systems' texts)

UNIT = "MiB"


def figures(step):
    for _ in range(500):
        step()
    with open("/proc/self/status") as f:
        kibibytes = {line.split(":")[0]: int(line.split()[1]) for line in f if line.endswith("kB\n")}
    return {"at the end": kibibytes["VmRSS"] / 1024, "peak": kibibytes["VmHWM"] / 1024}
