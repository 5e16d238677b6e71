"""`python -m tests.corpus.ray_job FOLDER`: a job of Ray Data on two nodes, one of which is killed.

Inverts FOLDER/mels into FOLDER/out and prints a JSON report. Needs the tiny convention's mels.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import ray
from ray.cluster_utils import Cluster

from tests.tiny import TINY
from torchmelinv.corpus import InvertBatch
from torchmelinv.invert import MelInverter


class LoggedInvert(InvertBatch):
    """Log which node begins which rows, and take long enough to be killed."""

    def __call__(self, batch: Any) -> dict[str, Any]:
        node, names = ray.get_runtime_context().get_node_id(), [str(name) for name in batch["name"]]
        with (self.out.parent / f"begun-{node}").open("a") as log:
            log.write("".join(f"{name}\n" for name in names))
        time.sleep(0.5)
        rows = super().__call__(batch)
        return {
            "name": names,
            "output": rows["output"],
            "error": rows["error"],
            "node": [node] * len(names),
        }


def begun(folder: Path, node: str) -> list[str]:
    """Return the rows that a node has begun."""
    log = folder / f"begun-{node}"
    return log.read_text().split() if log.exists() else []


def addresses() -> list[str]:
    """Return the addresses where this process and its children listen."""
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    connections = [each for process in processes for each in process.net_connections("tcp")]
    listening = {each.laddr.ip for each in connections if each.status == psutil.CONN_LISTEN}
    return sorted(address.removeprefix("::ffff:") for address in listening)


def main(folder: Path) -> None:
    """Run the job, and kill the second node while it inverts its second batch."""
    settings = {"node_ip_address": "127.0.0.1", "num_cpus": 2, "object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**settings, "include_dashboard": False})
    node = cluster.add_node(**settings)
    ray.init(address=cluster.address, log_to_driver=False)

    def kill() -> None:
        while len(begun(folder, node.node_id)) < 4:
            time.sleep(0.02)
        cluster.remove_node(node, allow_graceful=False)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    rows = [{"name": path.stem, "mel": str(path)} for path in sorted((folder / "mels").iterdir())]
    result = ray.data.from_items(rows, override_num_blocks=12).map_batches(
        LoggedInvert,
        fn_constructor_args=(MelInverter(TINY, n_iter=2),),
        fn_constructor_kwargs={"out": str(folder / "out")},
        batch_size=2,
        compute=ray.data.ActorPoolStrategy(size=2),
        num_cpus=1,
        scheduling_strategy="SPREAD",
    )
    found = {"addresses": addresses(), "rows": result.take_all(), "killed": node.node_id}
    killer.join(1)
    nodes = [each["NodeID"] for each in ray.nodes()]
    found |= {"begun": {each: begun(folder, each) for each in nodes}}
    print(json.dumps(found))
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
