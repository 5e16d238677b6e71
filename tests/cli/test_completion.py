"""`torchmelinv completion`: a shell completes commands, options and files."""

from __future__ import annotations

import subprocess

import pytest

from tests.tiny import console, workplace  # noqa: F401

pytestmark = pytest.mark.usefixtures("workplace")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (["pre"], "presets"),
        (["invert", "--mag"], "--magnitude"),
        (["invert", "--magnitude", "ent"], "entropic"),
        (["identify", "me"], "mel.npy"),
        (["invert", "mel.npy", "--convention", "ti"], "tiny.json"),
    ],
)
def test_bash_completes(run, tmp_path, line, expected):
    code, script, err = run("completion", "bash")
    assert (code, err) == (0, "")
    (tmp_path / "completion.sh").write_text(script)
    words = " ".join(f"'{word}'" for word in ["torchmelinv", *line])
    # Bash calls the function of `complete -F NAME` so; interactive shells set these variables.
    program = f"""
source completion.sh
name=$(complete -p torchmelinv | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
COMP_WORDS=({words}) COMP_CWORD={len(line)} COMP_TYPE=9
$name torchmelinv {line[-1]} {line[-2] if len(line) > 1 else "torchmelinv"}
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(
        ["bash", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert expected in done.stdout.split()


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells_get_a_script(run, shell):
    code, script, _ = run("completion", shell)
    assert code == 0
    assert "identify" in script
