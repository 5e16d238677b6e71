"""`import torchmelinv` needs only torch and numpy, is fast, and changes no global state."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.shared import ROOT

LAZY = {
    "torchaudio",
    "soundfile",
    "matplotlib",
    "soxr",
    "tqdm",
    "librosa",
    "scipy",
    "triton",
    "safetensors",
}
# Of the processor time that torch takes to be imported in the same process: seconds depend on the
# machine, and on one machine on its load (0.31 to 0.41 s for the same code).
SHARE = 0.35


def run_program(statements: str) -> dict[str, float | list[str]]:
    """Run statements in a new interpreter that has imported torch.

    Returns the top-level packages that they import, and their processor time as a share of that of
    torch's import.
    """
    program = f"""
import json, sys, time
start = time.process_time()
import torch  # may import some of the packages itself
modules, middle = set(sys.modules), time.process_time()
{statements}
share = (time.process_time() - middle) / (middle - start)
packages = sorted({{name.split(".")[0] for name in set(sys.modules) - modules}})
print(json.dumps({{"share": share, "packages": packages}}))
"""
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def test_the_import_is_fast_and_needs_no_optional_package():
    runs = [run_program("import torchmelinv; torchmelinv.MelInverter") for _ in range(3)]
    assert not LAZY & set(runs[0]["packages"])
    assert min(run["share"] for run in runs) < SHARE


def test_the_import_alone_does_not_need_torch():
    program = "import sys, torchmelinv; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_no_module_imports_an_optional_package_at_its_top():
    files = (path.relative_to(ROOT) for path in sorted((ROOT / "torchmelinv").rglob("*.py")))
    names = [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in files]
    # `validation` has torchmetrics' class as its base where that is installed, with its imports.
    skipped = ("torchmelinv.__main__", "torchmelinv.validation")
    statements = [f"import {name}" for name in names if not name.startswith(skipped)]
    assert not LAZY & set(run_program("\n".join(statements))["packages"])


def test_the_import_does_not_change_torchs_global_state():
    run_program("""
def settings():
    return torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled()
rng_state, before = torch.get_rng_state(), settings()
import torchmelinv
torchmelinv.MelInverter
assert torch.equal(rng_state, torch.get_rng_state())
assert before == settings()
""")
