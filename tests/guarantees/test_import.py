"""`import torchmelinv` needs torch and numpy alone, and is quick."""

from __future__ import annotations

import json
import subprocess
import sys

LAZY = {"torchaudio", "soundfile", "matplotlib", "soxr", "tqdm", "librosa", "scipy", "triton", "safetensors"}
SECONDS = 0.3  # of processor time, on top of what torch takes


def loaded_by(statements: str) -> dict[str, float | list[str]]:
    """Top-level packages and processor seconds that `statements` add in a fresh interpreter where torch is already imported."""
    program = f"""
import json, sys, time
import torch  # may bring some of them itself: not our doing
before, start = set(sys.modules), time.process_time()
{statements}
seconds = time.process_time() - start
print(json.dumps({{"seconds": seconds, "packages": sorted({{name.split(".")[0] for name in set(sys.modules) - before}})}}))
"""
    finished = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def test_front_door_is_light_and_quick():
    runs = [loaded_by("import torchmelinv") for _ in range(3)]
    assert not LAZY & set(runs[0]["packages"])
    assert min(run["seconds"] for run in runs) < SECONDS


def test_no_module_imports_the_optional_packages_at_its_top():
    every_module = """
import importlib, pkgutil, torchmelinv
for module in pkgutil.walk_packages(torchmelinv.__path__, "torchmelinv."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""
    assert not LAZY & set(loaded_by(every_module)["packages"])


def test_does_not_touch_torchs_global_state():
    loaded_by("""
state = torch.get_rng_state(), torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled()
import torchmelinv
assert torch.equal(state[0], torch.get_rng_state())
assert state[1:] == (torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled())
""")
