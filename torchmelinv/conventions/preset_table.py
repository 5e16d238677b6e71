"""The presets as data: one row per model, with values read from the model's own source.

To add a preset, add a `Row` with its source and the fields of `MelConvention` that differ from
their defaults. For a mel that differs from another model's in a field or two, use
``_mel(_OTHER, field=value)``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from torchmelinv.conventions.compression import Compression

__all__ = ["ROWS", "Row"]


@dataclasses.dataclass(frozen=True)
class Row:
    """The mel of one model, and where its values come from.

    Args:
        name: Name of the preset.
        source: Repository on GitHub, as ``owner/name``.
        commit: Commit or release tag of the repository that was read.
        path: Files of the repository that hold the values.
        fields: Fields of `MelConvention`, by name.
        model_space: Fields of `Compression` that the acoustic model adds to the mel function.
        needs: Statistics (`band_mean`, `band_scale`) that the model space needs from its user.
        statistics: Where the user finds these statistics.
        picture: Scale of the pixels in which the model stores mels as pictures, by the names of
            `io.picture_files.Picture`.
        note: What the mel has lost, and what surrounds the mel function.
    """

    name: str
    source: str
    commit: str
    path: str
    fields: Mapping[str, Any] = dataclasses.field(hash=False)
    model_space: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    needs: tuple[str, ...] = ()
    statistics: str = ""
    picture: Mapping[str, Any] | None = dataclasses.field(default=None, hash=False)
    note: str = ""


def _mel(base: Mapping[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    return {**(base or {}), **changes}


# fmt: off
_BOTH = ("band_mean", "band_scale")
_LN = Compression(log="ln", floor=1e-5)
_LOG10 = Compression(log="log10", floor=1e-10)
_DECIBEL = Compression(log="log10", floor=1e-10, multiplier=10)
_KALDI_LEVEL = Compression(log="ln", floor=1.1920929e-07)

_TACOTRON2 = _mel(sample_rate=22050, n_fft=1024, hop_length=256, n_mels=80, f_max=8000, level=_LN)
_HIFIGAN = _mel(_TACOTRON2, padding="same_reflect", magnitude_offset=1e-9)
_BIGVGAN_24K = _mel(_HIFIGAN, sample_rate=24000, n_mels=100, f_max=12000)
_BIGVGAN_44K = _mel(_HIFIGAN, sample_rate=44100, n_mels=128, f_max=0)
_COSYVOICE2 = _mel(_HIFIGAN, sample_rate=24000, n_fft=1920, hop_length=480)
_GPT_SOVITS = _mel(_BIGVGAN_24K, f_max=0, magnitude_offset=1e-8)
_VOCOS = _mel(
    sample_rate=24000, n_fft=1024, hop_length=256, n_mels=100, mel_scale="htk", filter_norm=None,
)
_PWG = _mel(
    sample_rate=22050, n_fft=1024, hop_length=256, n_mels=80, f_min=80, f_max=7600, level=_LOG10,
)
_WHISPER = _mel(
    sample_rate=16000, n_fft=400, hop_length=160, drop_last_frame=True, power=2, n_mels=80,
    level=Compression(log="log10", floor=1e-10, dynamic_range=8, affine=(-4, 4)),
)
_CLAP = _mel(
    sample_rate=48000, n_fft=1024, hop_length=480, power=2, n_mels=64, f_min=50, f_max=14000,
    level=_DECIBEL,
)
_KALDI = _mel(
    sample_rate=16000, n_fft=512, win_length=400, hop_length=160, window="povey",
    window_align="left", padding="none", remove_dc=True, pre_emphasis=0.97, power=2, n_mels=23,
    f_min=20, mel_scale="kaldi", filter_norm=None, level=_KALDI_LEVEL,
)
_GPT_SOVITS_SPACE = {"affine": (-5, 7)}  # 2 (x + 12) / 14 − 1
_LOW, _HIGH = -11.512925148010254, 2.3143386840820312  # Tortoise: 2 (x − low) / (high − low) − 1

_TOP_8K = "the mel holds nothing above 8 kHz"
_RUMBLE_94 = (
    "the lowest filter covers the bin at 94 Hz alone: of rumble below 70 Hz it holds the leakage, "
    "which only that rumble can make"
)
_PHONE = "the mel holds nothing outside 80 to 7600 Hz"
_FLOOR_80DB = "values more than 80 dB below the item's peak are lost"
_KALDI_LOSS = (
    "each frame loses its mean, so the mel holds nothing of its lowest bins; frames start only "
    "where a whole window fits (snipped edges), so the last samples may be in no frame; without "
    "dither"
)

ROWS = (
    Row("tacotron2", "NVIDIA/tacotron2", "185cd24", "hparams.py, layers.py, stft.py",
        _TACOTRON2, note=_TOP_8K),
    Row("waveglow", "NVIDIA/waveglow", "63bdb3f", "config.json, mel2samp.py",
        _TACOTRON2, note=_TOP_8K),
    Row("fastpitch_nvidia", "NVIDIA/DeepLearningExamples", "729963dd",
        "PyTorch/SpeechSynthesis/FastPitch/common/layers.py, "
        "PyTorch/SpeechSynthesis/FastPitch/common/stft.py",
        _TACOTRON2, note=_TOP_8K),
    Row("hifigan_22k", "jik876/hifi-gan", "4769534", "config_v1.json, meldataset.py",
        _HIFIGAN, note=f"the configurations v1, v2 and v3 share this mel; {_TOP_8K}"),
    Row("bigvgan_22k_80", "NVIDIA/BigVGAN", "7d2b454",
        "meldataset.py, configs/bigvgan_22khz_80band.json", _HIFIGAN, note=_TOP_8K),
    Row("bigvgan_v2_22k_80_fmax8k_256x", "NVIDIA/BigVGAN", "7d2b454",
        "meldataset.py, configs/bigvgan_v2_22khz_80band_fmax8k_256x.json", _HIFIGAN, note=_TOP_8K),
    Row("bigvgan_v2_22k_80_256x", "NVIDIA/BigVGAN", "7d2b454",
        "meldataset.py, configs/bigvgan_v2_22khz_80band_256x.json", _mel(_HIFIGAN, f_max=0)),
    Row("bigvgan_24k_100", "NVIDIA/BigVGAN", "7d2b454",
        "meldataset.py, configs/bigvgan_24khz_100band.json", _BIGVGAN_24K,
        note="version 1 states an f_max of 12000 Hz, version 2 states none: both are the same"),
    Row("bigvgan_v2_44k_128_256x", "NVIDIA/BigVGAN", "7d2b454",
        "meldataset.py, configs/bigvgan_v2_44khz_128band_256x.json", _BIGVGAN_44K,
        note="21 of the 128 filters cover a single bin"),
    Row("bigvgan_v2_44k_128_512x", "NVIDIA/BigVGAN", "7d2b454",
        "meldataset.py, configs/bigvgan_v2_44khz_128band_512x.json",
        _mel(_BIGVGAN_44K, n_fft=2048, hop_length=512)),
    Row("vocos_24k", "gemelo-ai/vocos", "c859e3b",
        "vocos/feature_extractors.py, vocos/modules.py, configs/vocos.yaml",
        _mel(_VOCOS, level=Compression(log="ln", floor=1e-7))),
    Row("f5_tts_vocos", "SWivid/F5-TTS", "2ae2c9b", "src/f5_tts/model/modules.py",
        _mel(_VOCOS, level=_LN), note="the floor is 1e-5; the Vocos that it feeds has 1e-7"),
    Row("f5_tts_bigvgan", "SWivid/F5-TTS", "2ae2c9b", "src/f5_tts/model/modules.py", _BIGVGAN_24K),
    Row("matcha_ljspeech", "shivammehta25/Matcha-TTS", "108906c",
        "matcha/utils/audio.py, configs/data/ljspeech.yaml",
        _HIFIGAN, {"affine": (-5.536622, 2.116101)},
        note=f"the network sees the model space: mean and deviation of LJSpeech; {_TOP_8K}"),
    Row("cosyvoice1", "FunAudioLLM/CosyVoice", "ace7c47",
        "examples/libritts/cosyvoice/conf/cosyvoice.yaml", _HIFIGAN,
        note=f"Matcha's mel function without its statistics; {_TOP_8K}"),
    Row("cosyvoice2", "FunAudioLLM/CosyVoice", "ace7c47",
        "examples/libritts/cosyvoice2/conf/cosyvoice2.yaml", _COSYVOICE2, note=_TOP_8K),
    Row("cosyvoice3", "FunAudioLLM/CosyVoice", "ace7c47",
        "examples/libritts/cosyvoice3/conf/cosyvoice3.yaml", _mel(_COSYVOICE2, f_max=0)),
    Row("gptsovits_v3", "RVC-Boss/GPT-SoVITS", "48b1a01",
        "GPT_SoVITS/module/mel_processing.py, GPT_SoVITS/inference_webui.py",
        _GPT_SOVITS, _GPT_SOVITS_SPACE),
    Row("gptsovits_v4", "RVC-Boss/GPT-SoVITS", "48b1a01",
        "GPT_SoVITS/module/mel_processing.py, GPT_SoVITS/inference_webui.py",
        _mel(_GPT_SOVITS, sample_rate=32000, n_fft=1280, hop_length=320), _GPT_SOVITS_SPACE),
    Row("vits_22k", "jaywalnut310/vits", "2e561ba", "mel_processing.py, configs/ljs_base.json",
        _mel(_HIFIGAN, f_max=0, magnitude_offset=1e-6)),
    Row("fish_44k", "fishaudio/fish-speech", "3dd1f85", "fish_speech/utils/spectrogram.py",
        _mel(_BIGVGAN_44K, n_fft=2048, hop_length=512, padding="same_reflect_win",
             magnitude_offset=1e-6)),
    Row("melgan", "descriptinc/melgan-neurips", "6488045", "mel2wav/modules.py",
        _mel(_TACOTRON2, padding="same_reflect", f_max=0,
             level=Compression(log="log10", floor=1e-5))),
    Row("pwg_ljspeech", "kan-bayashi/ParallelWaveGAN", "8674037",
        "parallel_wavegan/bin/preprocess.py, egs/ljspeech/voc1/conf/parallel_wavegan.v1.yaml",
        _PWG, needs=_BOTH,
        statistics="the training set's stats.h5 holds them as mean and scale",
        note=f"the base is the mel before its normalization; {_PHONE}"),
    Row("espnet2_tts", "espnet/espnet", "0bc48ac",
        "espnet2/tts/feats_extract/log_mel_fbank.py (a single stored version; "
        "espnet2/layers/log_mel.py at 10c9121)",
        _mel(_PWG, magnitude_floor=1e-10), needs=_BOTH,
        statistics="the training set's feats_stats.npz gives them: mean = sum / count, "
                   "scale = √(sum_square / count − mean²)",
        note="it has no rate of its own: 22050 Hz is that of its LJSpeech recipe, pass sample_rate "
             f"for another; ESPnet fills the frames that pad a batch with 0; {_PHONE}"),
    Row("speecht5", "microsoft/SpeechT5", "5d66cf5",
        "SpeechT5/speecht5/data/text_to_speech_dataset.py",
        _mel(_PWG, sample_rate=16000), note=_PHONE),
    Row("wavernn_fatchord", "fatchord/WaveRNN", "83c08fd", "hparams.py, utils/dsp.py",
        _mel(sample_rate=22050, n_fft=2048, win_length=1100, hop_length=275, n_mels=80, f_min=40,
             level=Compression(log="log10", floor=1e-5, multiplier=20, affine=(-100, 100),
                               clip=(0, 1))),
        note="clipped: bands louder than 0 dB are lost, which bounds how near speech comes to its "
             "mel (−27 dB); it reflects at the edges, as the librosa "
             "0.6.3 that it pins does (librosa 0.9 and newer pad with zeros: "
             "padding='center_zero')"),
    Row("whisper_80", "openai/whisper", "c0d2f62", "whisper/audio.py", _WHISPER,
        note=f"{_FLOOR_80DB}, and so is the last frame"),
    Row("whisper_128", "openai/whisper", "c0d2f62", "whisper/audio.py", _mel(_WHISPER, n_mels=128),
        note=f"{_FLOOR_80DB}, and so is the last frame"),
    Row("tortoise_univnet", "neonbjb/tortoise-tts", "8a2563e",
        "tortoise/utils/audio.py, tortoise/utils/stft.py",
        _mel(_BIGVGAN_24K, padding="center_reflect", magnitude_offset=0),
        {"affine": ((_HIGH + _LOW) / 2, (_HIGH - _LOW) / 2)},
        note="its diffusion model sees the model space"),
    Row("tortoise_ar_cond", "neonbjb/tortoise-tts", "8a2563e", "tortoise/models/arch_util.py",
        _mel(_TACOTRON2, power=2, mel_scale="htk"), needs=("band_scale",),
        statistics="tortoise/data/mel_norms.pth holds the divisor of each band", note=_TOP_8K),
    Row("audioldm_16k", "haoheliu/AudioLDM", "4054cb4",
        "audioldm/utils.py, audioldm/audio/stft.py, audioldm/audio/tools.py",
        _mel(sample_rate=16000, n_fft=1024, hop_length=160, n_mels=64, f_max=8000, level=_LN),
        note="AudioLDM first scales each waveform to a peak of 0.5; it does not apply the mean and "
             "deviation of its configuration"),
    Row("riffusion", "riffusion/riffusion-hobby", "94c29ab",
        "riffusion/spectrogram_params.py, riffusion/spectrogram_converter.py, "
        "riffusion/util/image_util.py",
        _mel(sample_rate=44100, n_fft=17640, win_length=4410, hop_length=441, n_mels=512,
             f_max=10000, mel_scale="htk", filter_norm=None),
        picture={"low": 0.0, "high": 30e6, "exponent": 4.0, "inverted": True, "flipped": True},
        note="the mel before the picture, without its quantization, 255 − 255 (x / max)^0.25 in 8 "
             "bits, and without the loss of its maximum; Riffusion's samples have the scale of "
             "16-bit integers; of rumble below 5 Hz it holds the leakage alone, which only that "
             "rumble can make"),
    Row("diffusers_mel", "huggingface/diffusers", "58eb52c",
        "src/diffusers/pipelines/deprecated/audio_diffusion/mel.py",
        _mel(sample_rate=22050, n_fft=2048, hop_length=512, padding="center_zero", power=2,
             n_mels=256,
             level=Compression(log="log10", floor=1e-10, multiplier=10, dynamic_range=80)),
        {"reference_max": True}, picture={"low": -80.0, "high": 0.0},
        note=f"{_FLOOR_80DB}; in the model space the peak is 0 dB and the absolute level is lost; "
             "the picture's quantization, (dB + 80) 255 / 80 in 8 bits, is not included"),
    Row("coqui_default", "coqui-ai/TTS", "dbf1a08",
        "TTS/config/shared_configs.py, TTS/utils/audio/processor.py",
        _mel(_TACOTRON2, f_max=0,
             level=Compression(log="log10", floor=1e-8, multiplier=20, shift=-20,
                               affine=(-50, 12.5), clip=(-4, 4))),
        note="the defaults of BaseAudioConfig, which recipes change; clipped: bands louder than 20 "
             "dB or quieter than −80 dB are lost"),
    Row("styletts2_kokoro", "yl4579/StyleTTS2", "1ece0a3",
        "meldataset.py (a single stored version)",
        _mel(sample_rate=24000, n_fft=2048, win_length=1200, hop_length=300, power=2, n_mels=80,
             mel_scale="htk", filter_norm=None, filterbank_sample_rate=16000,
             level=Compression(log="ln", offset=1e-5, affine=(-4, 4))),
        note="its filters are made for 16 kHz and applied to 24 kHz audio: their top of 8 kHz is "
             "in fact 12 kHz; its data loader first puts 5000 zeros on each side; whether Kokoro "
             "shares this mel was not checked"),
    Row("diffwave", "lmnt-com/diffwave", "50ce199",
        "src/diffwave/preprocess.py, src/diffwave/params.py (single stored versions)",
        _mel(sample_rate=22050, n_fft=1024, hop_length=256, window_normalized=True, n_mels=80,
             f_min=20, mel_scale="htk", filter_norm=None,
             level=Compression(log="log10", floor=1e-5, multiplier=20, shift=-20,
                               affine=(-100, 100), clip=(0, 1))),
        note="clipped: bands louder than 20 dB or quieter than −80 dB are lost"),
    Row("clap_laion_fusion", "LAION-AI/CLAP", "1fd4c37", "src/laion_clap/training/data.py",
        _mel(_CLAP, mel_scale="htk", filter_norm=None),
        note=f"the mel before the fusion of chunks; it holds nothing above 14 kHz; {_RUMBLE_94}"),
    Row("clap_laion_unfused", "LAION-AI/CLAP", "1fd4c37",
        "src/laion_clap/clap_module/htsat.py, "
        "src/laion_clap/clap_module/model_configs/HTSAT-tiny.json",
        _CLAP, needs=_BOTH,
        statistics="the checkpoint's bn0 gives them: scale = √(running_var + eps) / weight, "
                   "mean = running_mean − bias · scale",
        note="the mel before the network's batch norm; it holds nothing above 14 kHz; "
             f"{_RUMBLE_94}"),
    Row("librosa_melspectrogram", "librosa/librosa", "b7e7bf48", "librosa/feature/spectral.py",
        _mel(sample_rate=22050, n_fft=2048, hop_length=512, padding="center_zero", power=2,
             n_mels=128),
        note="linear; librosa's defaults since 0.9 (before, it reflected at the edges: "
             "padding='center_reflect')"),
    Row("librosa_power_to_db", "librosa/librosa", "b7e7bf48",
        "librosa/feature/spectral.py, librosa/core/spectrum.py",
        _mel(sample_rate=22050, n_fft=2048, hop_length=512, padding="center_zero", power=2,
             n_mels=128,
             level=Compression(log="log10", floor=1e-10, multiplier=10, reference_max=True,
                               dynamic_range=80)),
        note="power_to_db(melspectrogram(...), ref=np.max) with librosa's defaults: from −80 to "
             f"0 dB, so the level is lost, and {_FLOOR_80DB}"),
    Row("torchaudio_melspectrogram", "pytorch/audio", "v2.11.0",
        "src/torchaudio/transforms/_transforms.py",
        _mel(sample_rate=16000, n_fft=400, hop_length=200, power=2, n_mels=128, mel_scale="htk",
             filter_norm=None),
        note="linear"),
    Row("kaldi_fbank", "pytorch/audio", "v2.11.0", "src/torchaudio/compliance/kaldi.py", _KALDI,
        note="Kaldi's samples have the scale of 16-bit integers, torchaudio's have any; "
             f"{_KALDI_LOSS}"),
    Row("ast", "YuanGongND/ast", "31088be", "src/dataloader.py, src/run.py",
        _mel(_KALDI, n_mels=128, window="hann_symmetric",
             level=_KALDI_LEVEL.replace(affine=(-4.2677393, 9.1379948))),
        note=f"its data loader first subtracts the waveform's mean; {_KALDI_LOSS}"),
)
# fmt: on
