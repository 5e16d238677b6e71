"""Build the live demo: a static page with models that ONNX Runtime Web runs in the browser.

    python docs/demo/build.py

writes ``docs/demo/dist/live``, to be served by any web server. The export of the models takes some
minutes for each preset; they stay in ``docs/demo/build`` for later calls. npm installs the runtime.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

import torchmelinv as tmi
from torchmelinv.conventions.presets import preset_info
from torchmelinv.export import export_onnx
from torchmelinv.io.audio import write_audio
from torchmelinv.synthetic_voice import signal

FOLDER = Path(__file__).parent
RUNTIME = FOLDER / "node_modules" / "onnxruntime-web" / "dist"
RUNTIME_FILES = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
TITLES = {
    "hifigan_22k": "HiFi-GAN, 22 kHz",
    "vocos_24k": "Vocos, 24 kHz",
    "whisper_80": "Whisper, 16 kHz, 80 bands",
}
SAMPLE_SECONDS = 3.0


def install_runtime() -> None:
    """Install the pinned ONNX Runtime Web, unless it is there."""
    if all((RUNTIME / name).exists() for name in RUNTIME_FILES):
        return
    if shutil.which("npm") is None:
        raise SystemExit("npm is needed to install onnxruntime-web; it comes with Node.js")
    subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit"], cwd=FOLDER, check=True)


def exported(module: tmi.MelInverter | tmi.MelSpectrogram, cache: Path) -> Path:
    """Return the ONNX file of a module, exported once for each version and setting."""
    key = f"{tmi.__version__}, torch {torch.__version__}, {module}, {module.convention.to_json()}"
    path = cache / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.onnx"
    if not path.exists():
        report = export_onnx(module, path)
        print(f"{path}: {report.n_bytes / 1e6:.1f} MB, error {report.error:.0e}", flush=True)
    return path


def build(
    out: Path, inverters: Mapping[str, tmi.MelInverter], cache: Path, titles: Mapping[str, str]
) -> None:
    """Write the page with a model for each inverter.

    Args:
        out: Folder of the page; it is replaced.
        inverters: Inverters by name.
        cache: Folder of exported models.
        titles: Titles by name.
    """
    install_runtime()
    cache.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(FOLDER / "page", out)
    (out / "runtime").mkdir()
    for name in RUNTIME_FILES:
        shutil.copy(RUNTIME / name, out / "runtime")
    (out / "models").mkdir()
    presets = []
    for name, inverter in inverters.items():
        convention = inverter.convention
        modules = {"inverter": inverter, "analysis": tmi.MelSpectrogram(convention)}
        files = {kind: f"models/{name}-{kind}.onnx" for kind in modules}
        for kind, module in modules.items():
            shutil.copy(exported(module, cache), out / files[kind])
        fields = {key: getattr(convention, key) for key in ("sample_rate", "n_mels", "hop_length")}
        source = preset_info(name).source if name in tmi.preset_names() else "its own convention"
        presets.append({"name": name, "title": titles[name], "source": source, **fields, **files})
    rate = max(preset["sample_rate"] for preset in presets)
    write_audio(out / "models" / "sample.wav", signal(SAMPLE_SECONDS, rate), rate)
    models = {"version": tmi.__version__, "sample": "models/sample.wav", "presets": presets}
    (out / "models" / "models.json").write_text(json.dumps(models, indent=2), encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> None:
    """Build the page.

    Args:
        argv: Arguments. Default: those of the process.
    """
    parser = argparse.ArgumentParser(description="Build the live demo.")
    parser.add_argument("--out", type=Path, default=FOLDER / "dist" / "live", metavar="DIR")
    parser.add_argument("--presets", nargs="+", choices=TITLES, default=list(TITLES))
    parser.add_argument("--n-iter", type=int, default=32, metavar="N")
    options = parser.parse_args(argv)
    inverters = {
        name: tmi.MelInverter(name, n_iter=options.n_iter, check=False) for name in options.presets
    }
    build(options.out, inverters, FOLDER / "build", TITLES)
    print(f"{options.out}: serve it with `python -m http.server --directory {options.out}`")


if __name__ == "__main__":
    main()
