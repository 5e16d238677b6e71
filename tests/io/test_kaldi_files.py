"""Kaldi archives as kaldiio writes them, scripts that list them, and lines that would run."""

from __future__ import annotations

import io

import numpy as np
import pytest

from torchmelinv.errors import FileError
from torchmelinv.io.mels import MelLayout, mel_entries, read_mel

kaldiio = pytest.importorskip("kaldiio")
RANDOM = np.random.default_rng(0)
MELS = {f"speaker-{n}": RANDOM.normal(-4, 2, (20 + n, 8)).astype(np.float32) for n in range(3)}


@pytest.mark.parametrize("method", [None, 2, 3, 5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_archives_and_scripts_of_kaldiio(tmp_path, method, dtype):
    ark, scp = tmp_path / "feats.ark", tmp_path / "feats.scp"
    mels = {name: mel.astype(dtype) for name, mel in MELS.items()}
    kaldiio.save_ark(str(ark), mels, scp=str(scp), compression_method=method)
    for path in (ark, scp):
        entries = mel_entries(path)
        assert [entry.name for entry in entries] == list(MELS)
        assert [entry.n_values for entry in entries] in ([160, 168, 176], [0, 0, 0])
        for entry in entries:
            expected = kaldiio.load_scp(str(scp))[entry.name]
            assert np.allclose(
                read_mel(entry.path, MelLayout(), entry).numpy().T, expected, atol=1e-5
            )


def test_one_utterance_by_its_name(tmp_path):
    kaldiio.save_ark(str(tmp_path / "x.ark"), MELS)
    found = read_mel(tmp_path / "x.ark", MelLayout(key="speaker-1", frames_first=True))
    assert np.array_equal(found.numpy(), MELS["speaker-1"].T)
    with pytest.raises(FileError, match="choose one by its key"):
        read_mel(tmp_path / "x.ark")
    with pytest.raises(FileError, match="has no 'x'; it holds 'speaker-0', 'speaker-1'"):
        read_mel(tmp_path / "x.ark", MelLayout(key="x"))


def test_paths_of_a_script_are_relative_to_its_folder(tmp_path):
    kaldiio.save_ark(str(tmp_path / "x.ark"), MELS)
    place = mel_entries(tmp_path / "x.ark")[1].place
    (tmp_path / "x.scp").write_text(f"a x.ark:{place}\n\n")
    (entry,) = mel_entries(tmp_path / "x.scp")
    assert np.array_equal(read_mel(entry.path, MelLayout(), entry).numpy().T, MELS["speaker-1"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a touch made |", "shell command, which is never run"),
        ("a | touch made", "shell command"),
        ("a touch made |:12", "No such file"),
        ("a x.wav", "path:position"),
        ("a x.ark:1[0:3]", "path:position"),
        ("a", "path:position"),
    ],
)
def test_lines_that_are_no_matrix_are_refused(tmp_path, monkeypatch, line, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.scp").write_text(f"{line}\n")
    with pytest.raises(FileError, match=message):
        read_mel(tmp_path / "x.scp")
    assert not (tmp_path / "made").exists()


def test_a_script_that_leads_to_no_archive(tmp_path):
    (tmp_path / "secret.ark").write_text("password " * 9)
    for place in ("secret.ark:3", "secret.ark:10000000000", "none.ark:1", "/dev/zero:1"):
        (tmp_path / "x.scp").write_text(f"a {place}\n")
        (entry,) = mel_entries(tmp_path / "x.scp")
        with pytest.raises(FileError) as caught:
            read_mel(entry.path, MelLayout(), entry)
        assert "password" not in str(caught.value)


def binary(name: str, header: bytes, data: bytes = b"") -> bytes:
    return f"{name} ".encode() + b"\0B" + header + data


def test_other_content_and_false_headers_are_refused(tmp_path):
    stream = io.BytesIO()
    kaldiio.save_ark(stream, MELS, text=True)
    huge = np.array(2**31 - 1, "<i4").tobytes()
    contents = [
        stream.getvalue(),
        binary("a", b"FV \4\2\0\0\0", bytes(8)),
        binary("a", b"FM \4" + huge + b"\4" + huge),
        binary("a", b"FM \4\xff\xff\xff\xff\4\xff\xff\xff\xff"),
        binary("a", b"CM " + bytes(8) + huge + huge),
        binary("a", b"CM2 " + bytes(8) + huge + b"\0\0\0\0")[:-3],
        binary("a", b"FM \5\1\0\0\0\4\1\0\0\0", bytes(4)),
        b"x" * 10_000,
        b"x",
        b"a PKLabc",
        b"a NPY\x93NUMPY",
        b"",
    ]
    for content in contents:
        (tmp_path / "x.ark").write_bytes(content)
        with pytest.raises(FileError):
            read_mel(tmp_path / "x.ark")
