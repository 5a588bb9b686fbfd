"""What a model is said to take, against what it takes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from benchmarks.full_configs import QWEN2_AUDIO_7B
from modgap.core.errors import ModelError
from modgap.models.base import SpeechLM
from modgap.models.loading.hardware import Machine, _free_ram
from modgap.models.loading.load import load_model
from modgap.models.loading.memory import estimate_memory
from modgap.models.loading.sizes import clip_bytes, gigabytes

GB = 10**9


@pytest.fixture(scope="module")
def seven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but that config."""
    folder = tmp_path_factory.mktemp("seven")
    (folder / "config.json").write_text(json.dumps(QWEN2_AUDIO_7B))
    return folder


def test_the_tiny_model_is_counted_exactly(tiny_folder: Path, tiny_model: SpeechLM) -> None:
    found = estimate_memory(tiny_folder, device="cpu")
    held = list(tiny_model.hf.parameters())
    assert found.parameters == sum(p.numel() for p in held)
    assert found.weights == sum(p.numel() * p.element_size() for p in held)
    assert (found.n_layers, found.hidden_size) == (tiny_model.n_layers, tiny_model.hidden_size)
    assert found.max_seconds == tiny_model.max_seconds == found.clip_seconds
    assert found.seconds_per_position == tiny_model.seconds_per_position
    assert (found.positions, found.known, found.template) == (250, True, "file")


@pytest.mark.parametrize("name", ["demo", "demo:lora", "demo:lora@2"])
def test_the_embedded_models_are_counted_exactly(name: str, tmp_path: Path) -> None:
    # Its head is the embedding table: one weight, used twice, counted once.
    loaded = load_model(name, cache_dir=tmp_path)
    found = estimate_memory(name, cache_dir=tmp_path)
    assert found.parameters == sum(p.numel() for p in loaded.hf.parameters())


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_bytes_follow_the_dtype(tiny_folder: Path, dtype: str) -> None:
    found = estimate_memory(tiny_folder, dtype=dtype)
    assert found.weights == found.parameters * getattr(torch, dtype).itemsize
    assert found.dtype == dtype


def test_a_published_7b_config(seven: Path) -> None:
    found = estimate_memory(seven, dtype="bfloat16")
    # The released files hold 8,397,094,912 parameters (their index says 16,794,189,824 bytes).
    assert found.parameters == 8_397_094_912
    assert found.weights == found.ways["bfloat16"] == 16_794_189_824
    assert found.ways["float32"] == 2 * found.weights
    # Whole remain the two tables of 156032 x 4096 and the convolutions: 1.28 of 8.40 billion.
    assert found.ways["8bit"] == pytest.approx(7.12e9 + 2 * 1.28e9, rel=0.01)
    assert found.ways["4bit"] == pytest.approx(7.12e9 * (0.5 + 4 / 64) + 2 * 1.28e9, rel=0.01)
    assert (found.known, found.max_seconds, found.template) == (False, None, "unknown")
    assert (found.clip_seconds, found.positions, found.tokens) == (30, 750, 120)


def test_the_clip_by_hand(seven: Path) -> None:
    found = estimate_memory(seven, dtype="bfloat16")
    speech, words = 750 + 64, 120 + 64
    assert found.clip == {
        "states": 33 * (speech + 120) * 4096 * 2,
        "cache": 2 * 32 * 32 * 128 * (speech + words + 48) * 2,
        "logits": 2 * 4 * 156032,
        "matrices": 2 * 33 * 750 * 120 * 4,
        "activations": speech * (6 * 4096 + 3 * 11008) * 2,
        "encoder": 1500 * (6 * 1280 + 3 * 5120) * 2 + 4 * 1500**2,
    }
    assert found.total == found.weights + sum(found.clip.values())


def test_grouped_heads_and_odd_widths() -> None:
    text = SimpleNamespace(
        num_hidden_layers=3, hidden_size=8, num_attention_heads=4, num_key_value_heads=2,
        head_dim=5, intermediate_size=[16, 32], vocab_size=10,
    )  # fmt: skip
    found = clip_bytes(text, 36, 1, 4)
    assert found["cache"] == 2 * 3 * 2 * 5 * (100 + 65 + 48) * 4
    assert found["activations"] == 100 * (48 + 96) * 4


def test_the_clip_covers_what_was_measured(tmp_path: Path) -> None:
    from benchmarks.analysis import peak_bytes
    from modgap.analysis.functions import analyze
    from modgap.interventions.prefill import Prefill
    from tests.tiny import make_clip, make_tiny_checkpoint

    folder = make_tiny_checkpoint(tmp_path, hidden=128, layers=8, encoder_layers=3, mels=80)
    model, clip = load_model(folder, device="cpu"), make_clip(10.0)
    found = estimate_memory(folder, dtype="float32")
    words = " ".join(["one two three four"] * 10)
    words = words[: int(model.text_prompt(words).spans[found.tokens][1])]
    assert found.tokens == len(model.text_prompt(words).content) - 1

    for work in (
        lambda: analyze(model, clip, words),
        lambda: Prefill.of(model, model.prepare(clip, words)),
    ):
        work()
        assert 0.5 * found.clip_total < peak_bytes(work) < found.clip_total


def test_an_encoder_that_hears_the_clip_alone_is_reckoned_so(tiny_family: Path) -> None:
    short, long = (estimate_memory("demo", seconds=s).clip["encoder"] for s in (2.0, 4.0))
    d, f, frames = 32, 64, 100
    assert short == frames * (6 * d + 3 * f) * 4 + 4 * frames**2
    assert long == 2 * frames * (6 * d + 3 * f) * 4 + 4 * (2 * frames) ** 2


def test_no_weights_are_needed_or_read(tiny_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "copy"))
    (folder / "model.safetensors").unlink()
    assert estimate_memory(folder).parameters == estimate_memory(tiny_folder).parameters


def test_a_template_that_is_the_familys(tiny_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "copy"))
    (folder / "chat_template.jinja").unlink()
    assert estimate_memory(folder).template == "family"


def test_longer_clips_take_more(seven: Path) -> None:
    short, long = (estimate_memory(seven, seconds=s) for s in (10, 60))
    assert short.clip_total < long.clip_total
    assert (short.positions, long.positions) == (250, 1500)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("nowhere", {}, "no folder"),
        ("{tiny}", {"quantize": "3bit"}, "8bit or 4bit"),
        ("{tiny}", {"dtype": "int8"}, "dtype"),
        ("{tiny}", {"device": "toaster"}, "device"),
    ],
)
def test_refusals(name: str, options: dict[str, str], says: str, tiny_folder: Path) -> None:
    with pytest.raises(ModelError, match=says):
        estimate_memory(name.replace("{tiny}", str(tiny_folder)), **options)  # type: ignore[arg-type]


def test_configs_that_no_model_can_be_built_from(tmp_path: Path) -> None:
    for config in ({"model_type": "whisper"}, {"model_type": None}):
        (tmp_path / "config.json").write_text(json.dumps(config))
        with pytest.raises(ModelError, match="no adapter"):
            estimate_memory(tmp_path)
    bad = {**QWEN2_AUDIO_7B, "text_config": {"model_type": "qwen2", "hidden_size": "wide"}}
    (tmp_path / "config.json").write_text(json.dumps(bad))
    with pytest.raises(ModelError, match="cannot be loaded"):
        estimate_memory(tmp_path)


# ---- against a machine --------------------------------------------------------------------------


def test_verdicts(seven: Path) -> None:
    found = estimate_memory(seven, dtype="float32", device="cpu")
    fits = found.fit(Machine(64 * GB))
    assert (fits.verdict, fits.needed, fits.free) == ("fits", found.total, 64 * GB)
    tight = found.fit(Machine(34 * GB))
    assert tight.verdict == "tight"
    assert "shorter clips" in tight.sentence
    assert "dtype bfloat16" in tight.sentence
    large = found.fit(Machine(23 * GB))
    assert large.verdict == "too large"
    assert "34 GB" in large.sentence
    assert "dtype bfloat16 (17 GB" in large.sentence
    assert "quantize 8bit" in found.fit(Machine(12 * GB)).sentence
    assert "quantize 4bit" in found.fit(Machine(8 * GB)).sentence
    assert "smaller model" in found.fit(Machine(2 * GB)).sentence
    assert all("\n" not in found.fit(Machine(n * GB)).sentence for n in (2, 8, 12, 23, 34, 64))


def test_places() -> None:
    machine = Machine(20 * GB, (("A", 8 * GB), ("B", 4 * GB)))
    assert machine.place("auto") == ("A", 8 * GB)
    assert machine.place("cuda:1") == ("B", 4 * GB)
    assert machine.place("cpu") == ("memory", 20 * GB)
    assert machine.place("auto", "auto") == ("A and B and memory", 32 * GB)
    assert machine.place("cuda:2") == ("no GPU 2 here", 0)
    assert Machine(20 * GB).place("auto") == ("memory", 20 * GB)


def test_this_machine_has_memory() -> None:
    here = Machine.here()
    assert here.ram > 10**8
    assert len(here.gpus) == torch.cuda.device_count()


def test_the_limit_of_a_container_counts(tmp_path: Path) -> None:
    whole = _free_ram(tmp_path)
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1000\n")
    assert _free_ram(tmp_path) == pytest.approx(whole, rel=0.2)
    (tmp_path / "memory.max").write_text("5000\n")
    assert _free_ram(tmp_path) == 4000
    (tmp_path / "memory.current").write_text("9000\n")
    assert _free_ram(tmp_path) == 0


@pytest.mark.parametrize(
    ("folder", "limit", "used", "prefix"),
    [
        (".", "memory.max", "memory.current", ""),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
    ],
)
def test_what_a_container_has_read_of_files_is_free(
    tmp_path: Path, folder: str, limit: str, used: str, prefix: str
) -> None:
    at = tmp_path / folder
    at.mkdir(exist_ok=True)
    (at / limit).write_text("20000\n")
    (at / used).write_text("18000\n")
    assert _free_ram(tmp_path) == 2000
    own = "inactive_file 1\nactive_file 1\n" if prefix else ""
    (at / "memory.stat").write_text(
        f"anon 2000\nfile 16000\n{own}{prefix}inactive_file 15000\n{prefix}active_file 500\n"
    )
    assert _free_ram(tmp_path) == 17500
    (at / "memory.stat").write_text("damaged")
    assert _free_ram(tmp_path) == 2000


def test_a_v1_container_without_a_limit(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    (tmp_path / "memory" / "memory.usage_in_bytes").write_text("1000\n")
    assert 10**6 < _free_ram(tmp_path) < 10**15


def test_weights_beyond_the_memory_are_refused_before_they_are_read(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = estimate_memory(tiny_folder)
    monkeypatch.setattr(Machine, "here", classmethod(lambda cls: cls(found.ways["bfloat16"])))
    with pytest.raises(ModelError, match=r"does not fit into memory.*dtype bfloat16"):
        load_model(tiny_folder, dtype="float32", device="cpu")
    load_model(tiny_folder, dtype="bfloat16", device="cpu")
    monkeypatch.setattr(Machine, "here", classmethod(lambda cls: cls(1000)))
    with pytest.raises(ModelError, match="smaller model"):
        load_model(tiny_folder, device="cpu")


@pytest.mark.parametrize(
    ("count", "text"),
    [(16.8e9, "17 GB"), (4.24e9, "4.2 GB"), (9.4e6, "9.4 MB"), (1500, "1.5 kB"), (12, "12 B")],
)
def test_bytes_for_people(count: float, text: str) -> None:
    assert gigabytes(count) == text
