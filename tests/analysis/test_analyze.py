"""analyze(): settings, keys, the cache, progress, cancelling, and the files it saves."""

from __future__ import annotations

import dataclasses
import json
import logging
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

import modgap
from modgap import AnalysisSettings, Cancelled, SettingsError, Store, StoreError, load_model
from modgap.analysis.export import FILES
from modgap.analysis.functions import analyze
from modgap.analysis.measure import cached_analysis
from modgap.analysis.result import Analysis, states_from_record, states_record
from modgap.core.settings import analysis_key
from modgap.models.capture import PairedStates
from modgap.store.record import Record
from tests.recompute import strict_json
from tests.tiny import make_clip

TEXT = "The capital <s> of [bold]France[/bold] is $Paris$ — größer."
SHORT = {"max_new_tokens": 3}


def same(a: Analysis, b: Analysis) -> None:
    """Equal bit by bit, all but the states and where it came from."""
    for field in dataclasses.fields(Analysis):
        one, two = getattr(a, field.name), getattr(b, field.name)
        if field.name in ("states", "from_cache"):
            continue
        if isinstance(one, pd.DataFrame):
            pd.testing.assert_frame_equal(one, two, check_exact=True)
        elif isinstance(one, np.ndarray):
            assert one.dtype == two.dtype
            np.testing.assert_array_equal(one, two)
        elif field.name == "alignment":
            for part in dataclasses.fields(one):
                x, y = getattr(one, part.name), getattr(two, part.name)
                if isinstance(x, np.ndarray):
                    assert x.dtype == y.dtype
                    np.testing.assert_array_equal(x, y)
                elif x and isinstance(x[0], np.ndarray):
                    assert len(x) == len(y)
                    for p, q in zip(x, y, strict=True):
                        assert p.dtype == q.dtype
                        np.testing.assert_array_equal(p, q)
                else:
                    assert x == y
        else:
            assert one == two, field.name


@pytest.fixture(scope="module")
def result(tiny_model, clip) -> Analysis:
    return analyze(tiny_model, clip, TEXT, states=True, **SHORT)


# ---- the result --------------------------------------------------------------------------------


def test_shapes_and_contents(result, tiny_model, clip):
    K, T_s, T_t = result.alignment.similarity.shape
    assert K == tiny_model.n_layers + 1 == len(result.layers) == len(result.layer_ids)
    assert result.speech_times.shape == (T_s, 2)
    assert len(result.pieces) == len(result.spans) == T_t
    assert len(result.tokens) == K * T_t
    assert result.pooled_speech.shape == result.pooled_text.shape == (K, tiny_model.hidden_size)
    assert result.states.speech.shape == (K, T_s, tiny_model.hidden_size)
    assert result.states.text.shape == (K, T_t, tiny_model.hidden_size)
    assert [TEXT[a:b] for a, b in result.spans] == list(result.pieces)
    assert result.audio.dtype == np.int16
    assert abs(len(result.audio) / result.audio_rate - clip.seconds) < 1e-3
    assert result.clip["sha256"] == clip.sha256
    assert set(result.answers) == {"text", "speech"}
    assert result.answers["speech"].kind == "speech"
    assert not result.from_cache
    assert list(result.layers)[:6] == [
        "layer",
        "cosine",
        "euclidean",
        "speech_norm",
        "text_norm",
        "norm_ratio",
    ]
    assert list(result.tokens)[:8] == [
        "layer",
        "j",
        "piece",
        "span_start",
        "span_end",
        "i_cos",
        "cos",
        "start",
    ]
    for array in (result.alignment.similarity, result.speech_times, result.pooled_text):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_answers_are_those_of_generate(result, tiny_model, clip):
    pair = tiny_model.prepare(clip, TEXT)
    for kind in ("text", "speech"):
        expected = tiny_model.generate(getattr(pair, kind), max_new_tokens=3)
        assert result.answers[kind].token_ids == expected.token_ids
        assert result.answers[kind].logprobs == expected.logprobs


def test_two_runs_give_the_same_numbers(result, tiny_model, clip):
    again = analyze(tiny_model, clip, TEXT, states=True, **SHORT)
    same(dataclasses.replace(again, created=result.created), result)
    assert torch.equal(again.states.speech, result.states.speech)


def test_layers_pick_rows_of_the_whole(result, tiny_model, clip):
    some = analyze(tiny_model, clip, TEXT, layers=[4, 0, 4, 2], answers=False)
    assert some.layer_ids.tolist() == [0, 2, 4]
    assert some.settings.layers == (0, 2, 4)
    assert some.answers is None
    np.testing.assert_allclose(
        some.alignment.similarity, result.alignment.similarity[[0, 2, 4]], atol=1e-6
    )
    wanted = result.layers.iloc[[0, 2, 4]].reset_index(drop=True)
    pd.testing.assert_frame_equal(some.layers, wanted, atol=1e-6)


def test_bfloat16_is_measured_in_float32(tiny_folder, clip, tmp_path):
    model = load_model(tiny_folder, dtype="bfloat16")
    store = Store(tmp_path)
    first = analyze(model, clip, "two plus two", store=store, states=True, answers=False)
    second = analyze(model, clip, "two plus two", store=store, states=True, answers=False)
    assert first.states.speech.dtype == second.states.speech.dtype == torch.bfloat16
    assert torch.equal(first.states.speech, second.states.speech)
    s = first.states.speech.float().mean(1)
    np.testing.assert_allclose(first.layers["speech_norm"], s.norm(dim=1), rtol=1e-5)
    assert first.model["dtype"] == "bfloat16"


# ---- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "say"),
    [
        ({"markers": "maybe"}, "keep"),
        ({"layers": ()}, "empty"),
        ({"layers": (-1,)}, "whole numbers"),
        ({"layers": (1.5,)}, "whole numbers"),
        ({"layers": 3}, "list of layer numbers"),
        ({"layers": ("0",)}, "whole numbers"),
        ({"layers": (99,)}, "layers 0 to 4"),
        ({"max_new_tokens": 0}, "max_new_tokens"),
        ({"max_new_tokens": 10**9}, "max_new_tokens"),
        ({"max_new_tokens": True}, "max_new_tokens"),
        ({"temperature": -1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"seed": -1}, "seed"),
        ({"instruction": None}, "instruction"),
        ({"instruction": "\udcff"}, "Unicode"),
        ({"system": 7}, "system"),
        ({"answers": "yes"}, "True or False"),
        ({"colour": "red"}, "colour"),
    ],
    ids=str,
)
def test_wrong_settings(tiny_model, clip, bad, say):
    with pytest.raises(SettingsError, match=re.escape(say)):
        analyze(tiny_model, clip, TEXT, **bad)


@pytest.mark.parametrize("transcript", ["", " \n", "\udcff", None, b"bytes"])
def test_wrong_transcripts(tiny_model, clip, transcript):
    with pytest.raises(SettingsError, match="transcript"):
        analyze(tiny_model, clip, transcript)


def test_wrong_clips(tiny_model):
    with pytest.raises(SettingsError, match="load_clip"):
        analyze(tiny_model, "clip.wav", TEXT)
    with pytest.raises(modgap.AudioError, match="at most 10 s"):
        analyze(tiny_model, make_clip(11.0), TEXT)


# ---- settings and keys -------------------------------------------------------------------------

any_settings = st.builds(
    AnalysisSettings,
    instruction=st.text(st.characters(codec="utf-8"), max_size=5),
    system=st.none() | st.just("Be brief."),
    markers=st.sampled_from(["keep", "drop"]),
    layers=st.none() | st.sets(st.integers(0, 40), min_size=1, max_size=4),
    final_norm=st.booleans(),
    answers=st.booleans(),
    max_new_tokens=st.integers(1, 64),
    temperature=st.sampled_from([0.0, 0.7]),
    seed=st.integers(0, 3),
    states=st.booleans(),
)


@given(any_settings)
def test_settings_survive_json(settings):
    again = AnalysisSettings.from_dict(json.loads(json.dumps(settings.to_dict())))
    assert again == settings
    with pytest.raises(SettingsError, match="Unknown"):
        AnalysisSettings.from_dict({"nonsense": 1})


def key(settings: AnalysisSettings, *, device: str = "cpu", **changes: str) -> str:
    parts = {"identity": "i", "dtype": "float32", "clip_sha256": "c", "transcript": "t"} | changes
    return analysis_key(**parts, settings=settings, device=device)


def effective(s: AnalysisSettings) -> tuple:
    """What of the settings can change a number."""
    decoding = (s.max_new_tokens, s.temperature, s.seed if s.temperature else 0)
    measured = (s.instruction, s.system, s.markers, s.layers, s.final_norm)
    return (*measured, decoding if s.answers else None)


@given(any_settings, any_settings)
def test_keys_are_equal_where_the_numbers_must_be(one, two):
    assert (key(one) == key(two)) == (effective(one) == effective(two))
    assert re.fullmatch("[0-9a-f]{64}", key(one))


def test_keys_depend_on_everything_else():
    s = AnalysisSettings()
    changed = ({name: "x"} for name in ("identity", "dtype", "clip_sha256", "transcript", "device"))
    assert len({key(s), *(key(s, **change) for change in changed)}) == 6


# ---- the cache ---------------------------------------------------------------------------------


def test_a_record_gives_the_analysis_back(result, tmp_path):
    same(Analysis.from_record(result.record()), result)
    store = Store(tmp_path)
    store.put(result.key, result.record())
    found = cached_analysis(result.key, store)
    same(found, result)
    assert found.from_cache
    assert found.to_dict() == result.to_dict()
    with pytest.raises(ValueError, match="read-only"):
        found.alignment.similarity[0] = 0
    assert cached_analysis("0" * 64, store) is None


def test_the_second_run_comes_from_the_cache(result, tiny_model, clip, tmp_path):
    store = Store(tmp_path)
    first = analyze(tiny_model, clip, TEXT, store=store, **SHORT)
    same(dataclasses.replace(first, created=result.created, settings=result.settings), result)
    second = analyze(tiny_model, clip, TEXT, store=store, **SHORT)
    assert (first.from_cache, second.from_cache) == (False, True)
    same(first, second)
    assert len(store.keys()) == 1


def test_what_is_not_in_the_key_is_of_this_call(tiny_folder, tiny_model, clip, tmp_path):
    store = Store(tmp_path)
    analyze(tiny_model, clip, TEXT, store=store, **SHORT)
    renamed = dataclasses.replace(clip, name="/home/me/secret/other.wav")
    other = load_model(f"{tiny_folder}/../{tiny_folder.name}")
    again = analyze(other, renamed, TEXT, store=store, seed=5, **SHORT)
    assert again.from_cache
    assert again.clip["name"] == "other.wav"
    assert again.settings.seed == 5
    assert again.model["name"] == tiny_folder.name


def test_states_are_cached_only_when_asked_for(tiny_model, clip, tmp_path):
    store = Store(tmp_path)
    plain = analyze(tiny_model, clip, TEXT, store=store, **SHORT)
    assert plain.states is None
    assert len(store.keys()) == 1
    first = analyze(tiny_model, clip, TEXT, store=store, states=True, **SHORT)
    assert first.from_cache, "the numbers were there, only the states were not"
    assert len(store.keys()) == 2
    second = analyze(tiny_model, clip, TEXT, store=store, states=True, **SHORT)
    assert torch.equal(first.states.speech, second.states.speech)
    assert first.states.layers == second.states.layers
    assert second.states.final_norm


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_states_survive_a_record(dtype):
    states = PairedStates(
        torch.randn(2, 5, 3).to(dtype), torch.randn(2, 4, 3).to(dtype), (0, 7), False
    )
    again = states_from_record(states_record(states))
    assert again.speech.dtype == dtype
    assert torch.equal(again.speech, states.speech)
    assert torch.equal(again.text, states.text)
    assert (again.layers, again.final_norm) == ((0, 7), False)


def test_damage_is_computed_again(tiny_model, clip, tmp_path, caplog):
    store = Store(tmp_path)
    first = analyze(tiny_model, clip, TEXT, store=store, **SHORT)
    path = store.path(first.key) / "arrays.safetensors"
    data = bytearray(path.read_bytes())
    data[-5] ^= 4
    path.write_bytes(data)
    again = analyze(tiny_model, clip, TEXT, store=store, **SHORT)
    assert not again.from_cache
    assert "set aside" in caplog.text
    same(dataclasses.replace(again, created=first.created), first)
    assert analyze(tiny_model, clip, TEXT, store=store, **SHORT).from_cache


@pytest.mark.parametrize("foreign", ["empty", "half", "mixed", "of another key"])
def test_intact_entries_of_something_else_are_computed_again(
    result, tiny_model, clip, tmp_path, caplog, foreign
):
    store = Store(tmp_path)
    record = result.record()
    if foreign == "empty":
        record = Record({"x": np.zeros(3)})
    elif foreign == "half":
        del record.arrays["alignment_dtw_cos_lengths"]
    elif foreign == "mixed":
        record.arrays["layer_ids"] = record.arrays["layer_ids"][:2]
    else:
        record.meta["key"] = "0" * 64
    store.put(result.key, record)
    again = analyze(tiny_model, clip, TEXT, store=store, **SHORT)
    assert not again.from_cache
    assert "set aside" in caplog.text
    assert analyze(tiny_model, clip, TEXT, store=store, **SHORT).from_cache


def test_a_cache_that_cannot_be_written_costs_nothing(result, tiny_model, clip, tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        got = analyze(tiny_model, clip, TEXT, store=Store(tmp_path / "file"), states=True, **SHORT)
    same(dataclasses.replace(got, created=result.created), result)
    assert "not kept" in caplog.text
    assert got.states is not None


# ---- progress ----------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"states": True}, {"answers": False}], ids=str)
def test_progress_rises_from_0_to_1(tiny_model, clip, tmp_path, options):
    seen: list[tuple[float, str]] = []
    analyze(
        tiny_model,
        clip,
        TEXT,
        store=Store(tmp_path),
        progress=lambda fraction, note: seen.append((fraction, note)),
        **(SHORT | options),
    )
    fractions = [fraction for fraction, _ in seen]
    assert fractions[0] == 0
    assert fractions[-1] == 1
    assert fractions == sorted(fractions)
    assert len(set(fractions)) >= 10
    notes = " ".join(note for _, note in seen)
    assert "text" in notes
    assert "speech" in notes


def test_cancelling_anywhere_leaves_nothing_behind(tiny_model, clip, tmp_path):
    store = Store(tmp_path)
    hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in tiny_model.hf.modules())
    steps = 0

    def count(fraction: float, note: str) -> None:
        nonlocal steps
        steps += 1

    whole = analyze(tiny_model, clip, TEXT, states=True, progress=count, **SHORT)
    for stop in (0, 1, steps // 3, steps // 2, steps * 2 // 3):
        left = stop

        def cancel(fraction: float, note: str) -> None:
            nonlocal left
            if left == 0:
                raise Cancelled
            left -= 1

        with pytest.raises(Cancelled):
            analyze(tiny_model, clip, TEXT, store=store, states=True, progress=cancel, **SHORT)
    now = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in tiny_model.hf.modules())
    assert now == hooks
    again = analyze(tiny_model, clip, TEXT, **SHORT)
    same(dataclasses.replace(again, created=whole.created, settings=whole.settings), whole)


# ---- files -------------------------------------------------------------------------------------


def test_the_files(result, tmp_path):
    paths = result.save(tmp_path / "a" / "b", states=True)
    folder = tmp_path / "a" / "b"
    assert sorted(p.name for p in folder.iterdir()) == sorted(FILES)
    assert {p.name for p in paths} == set(FILES)
    summary = strict_json(folder / "analysis.json")
    for name in ("model", "clip", "transcript", "speech_tokens", "text_tokens", "layers"):
        assert summary[name]
    assert summary["transcript"] == TEXT
    assert summary["answers"] == {kind: a.text for kind, a in result.answers.items()}
    for name in (
        "layer",
        "cosine",
        "euclidean",
        "speech_norm",
        "text_norm",
        "aps_cos",
        "aps_euc",
        "aps_dtw_cos",
        "aps_dtw_euc",
        "monotonicity",
        "argmax_path",
        "dtw_path",
    ):
        assert name in summary["layers"][0]
    matrices = load_file(folder / "matrices.safetensors")
    np.testing.assert_array_equal(matrices["similarity"], result.alignment.similarity)
    np.testing.assert_array_equal(matrices["distance"], result.alignment.distance)
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "layers.parquet"), result.layers)
    assert pd.read_parquet(folder / "tokens.parquet")["piece"].tolist()[: len(result.pieces)] == [
        *result.pieces
    ]


def test_no_path_of_this_machine_is_written(tiny_folder, clip, tmp_path):
    named = dataclasses.replace(clip, name=str(tmp_path / "who" / "clip.wav"))
    model = load_model(tiny_folder)
    assert model.name == str(tiny_folder)
    result = analyze(model, named, TEXT, states=True, store=Store(tmp_path / "cache"), **SHORT)
    result.save(tmp_path / "out", states=True)
    for path in (*(tmp_path / "out").iterdir(), *(tmp_path / "cache").rglob("*.*")):
        if path.is_file():
            data = path.read_bytes()
            assert str(tmp_path).encode() not in data, path.name
            assert str(tiny_folder.parent).encode() not in data, path.name


def test_an_older_analysis_is_replaced_with_its_states(result, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    result.save(tmp_path, states=True)
    result.save(tmp_path)
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == sorted({*FILES, "notes.txt"} - {"states.safetensors"})


@pytest.mark.parametrize("name", FILES)
def test_foreign_files_are_not_written_over(result, tmp_path, name):
    (tmp_path / name).write_text('{"mine": true}')
    with pytest.raises(StoreError, match="did not write"):
        result.save(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == '{"mine": true}'


def test_a_full_disk_leaves_the_older_analysis(result, tmp_path):
    result.save(tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (15_000, hard))
    try:
        with pytest.raises(StoreError, match="cannot be written"):
            result.save(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_saving_where_one_cannot(result, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="is a file"):
        result.save(tmp_path / "file")
    with pytest.raises(StoreError, match="cannot be written"):
        result.save(tmp_path / "file" / "below")
    with pytest.raises(StoreError, match="states=True"):
        dataclasses.replace(result, states=None).save(tmp_path / "x", states=True)
    assert not (tmp_path / "x").exists()


# ---- the package -------------------------------------------------------------------------------


def test_importing_modgap_is_light_and_names_are_there():
    code = (
        "import sys, modgap"
        "; heavy = {'torch', 'numpy', 'pandas', 'transformers'} & set(sys.modules)"
        "; assert not heavy, heavy; assert set(modgap.__all__) <= set(dir(modgap))"
        "; from modgap import AnalysisSettings; assert 'torch' not in sys.modules"
    )
    root = Path(modgap.__file__).parent.parent
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)
    assert all(getattr(modgap, name) is not None for name in modgap.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        modgap.nonsense  # noqa: B018
    project = (root / "pyproject.toml").read_text()
    assert f'version = "{modgap.__version__}"' in project


def test_positions_of_a_word(tiny_model):
    made = analyze(tiny_model, make_clip(), "one two three", layers=[1, 3])
    a = made.alignment
    assert (made.row(1), made.row(3)) == (0, 1)
    for j in range(len(made.pieces)):
        assert made.position(3, j) == a.argmax_cos[1][j]
        assert made.position(3, j, "argmax", "euclidean") == a.argmin_euc[1][j]
        assert made.position(1, j, "dtw") == a.dtw_pair_cos[0][j]
        assert made.position(1, j, "dtw", "euclidean") == a.dtw_pair_euc[0][j]
        assert made.position(1, j, "dtw") in made.segment(1, j)
    assert sorted({i for j in range(len(made.pieces)) for i in made.segment(1, j)}) == list(
        range(len(made.speech_times))
    )
    with pytest.raises(ValueError):
        made.row(2)
