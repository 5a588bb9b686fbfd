"""Maps fitted on a data set, against the states themselves."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score

from modgap.core.errors import SettingsError
from modgap.evaluation.interventions.fit_settings import FitSettings, group_of, split_questions
from modgap.evaluation.interventions.fitting import fit_maps
from modgap.interventions.maps.affine import KINDS
from modgap.interventions.prefill import Prefill
from modgap.scoring.question import Question
from tests.tiny import make_clip

WORDS = ["What is two plus three?", "The brown fox", "A lazy dog jumps", "Paris is big",
         "Red or blue?", "How many days?", "The cat sat", "Over the moon"]  # fmt: skip


def questions(voices: int = 1) -> list[Question]:
    return [
        Question(f"{n}-{v}", words, lambda n=n, v=v: make_clip(0.8 + 0.1 * n, seed=10 * v + n), "x",
                 groups={"item": f"q{n}"})
        for n, words in enumerate(WORDS) for v in range(voices)
    ]  # fmt: skip


def pairs(model: Any, asked: list[Question], layer: int, path: str) -> dict[str, Any]:
    """Of each group of questions, straight from the plain runs: x and y, float64 (n, d)."""
    found: dict[str, Any] = {}
    for q in asked:
        plain = Prefill.of(model, model.prepare(q.load(), q.transcript))
        i = torch.as_tensor(plain.path(layer, path, "cosine").i)
        one = (plain.speech[layer][i].double().numpy(), plain.text[layer].double().numpy())
        before = found.get(group_of(q), (one[0][:0], one[1][:0]))
        found[group_of(q)] = tuple(np.concatenate(s) for s in zip(before, one, strict=True))
    return found


@pytest.mark.parametrize("path", ["argmax", "dtw"])
def test_a_fit_is_that_of_all_pairs_at_once(tiny_model: Any, path: str) -> None:
    asked = questions(2)
    settings = FitSettings(layers=(2, 0), kinds=("ridge", "shift"), path=path, penalty=4.0, rank=32)
    made = fit_maps(tiny_model, lambda: iter(asked), settings)
    assert set(made.maps) == {(layer, kind) for layer in (0, 2) for kind in ("ridge", "shift")}
    assert made.clips == {"fit": 12, "gate": 0, "held out": 2}
    known = pairs(tiny_model, asked, 2, path)
    fitted = made.maps[2, "ridge"]
    assert fitted.layer == 2
    assert (fitted.card["settings"]["path"], fitted.card["penalty"]) == (path, 4.0)
    new = np.random.default_rng(0).standard_normal((3, 32))
    # Two groups are not fitted on: the one held out, and the gate's. Exactly one choice fits.
    matching = []
    for held, gate in itertools.permutations(known, 2):
        x, y = (
            np.concatenate([pair[side] for name, pair in known.items() if name not in (held, gate)])
            for side in (0, 1)
        )
        theirs = Ridge(alpha=4.0).fit(x, y)
        ours = fitted.mapped(torch.tensor(new)).double().numpy()
        if not np.allclose(theirs.predict(new), ours, atol=1e-3):
            continue
        assert fitted.card["pairs"] == len(x)
        x, y = known[held]
        explained = r2_score(y, theirs.predict(x), multioutput="variance_weighted")
        if fitted.card["held_out"]["explained"] == pytest.approx(explained, abs=1e-3):
            matching.append(held)
    assert len(matching) == 1
    again = fit_maps(tiny_model, lambda: iter(reversed(asked)), settings)
    for key, one in made.maps.items():
        other = again.maps[key].mapped(torch.ones(1, 32)).numpy()
        assert other == pytest.approx(one.mapped(torch.ones(1, 32)).numpy(), abs=1e-4)


def test_gates_controls_and_all_kinds(tiny_model: Any) -> None:
    asked = questions()
    made = fit_maps(tiny_model, lambda: iter(asked), FitSettings(kinds=KINDS, gate=True),
                    about={"name": "eight"})  # fmt: skip
    assert made.clips == {"fit": 6, "gate": 1, "held out": 1}
    for (_, kind), fitted in made.maps.items():
        assert fitted.kind == kind
        assert fitted.gate is not None
        assert 0 <= fitted.card["held_out"]["opened"] <= 1
        assert fitted.card["without_gate"]["opened"] == 1
        assert fitted.card["data"] == {"name": "eight"}
    shuffled = fit_maps(tiny_model, lambda: iter(asked), FitSettings(kinds=KINDS, shuffled=True))
    for key, fitted in shuffled.maps.items():
        assert fitted.kind == f"{key[1]}, shuffled"
        assert fitted.card["control"] == "shuffled"
        assert fitted.identity != made.maps[key].without_gate().identity


def test_a_path_of_another_layer(tiny_model: Any) -> None:
    asked = questions()
    made = fit_maps(tiny_model, lambda: iter(asked),
                    FitSettings(layers=(1,), kinds=("shift",), path_layer=3))  # fmt: skip
    own = fit_maps(tiny_model, lambda: iter(asked), FitSettings(layers=(1,), kinds=("shift",)))
    assert not torch.allclose(made.maps[1, "shift"].mean_x, own.maps[1, "shift"].mean_x)
    assert torch.allclose(made.maps[1, "shift"].mean_y, own.maps[1, "shift"].mean_y, atol=1e-6)


def test_a_clip_that_cannot_be_run_is_left_out(tiny_model: Any, caplog: Any) -> None:
    asked = questions(2)
    asked[0] = Question("long", WORDS[0], lambda: make_clip(12.0), groups={"item": "q0"})
    made = fit_maps(tiny_model, lambda: iter(asked), FitSettings(kinds=("shift",), gate=True))
    assert made.left_out == 1
    assert sum(made.clips.values()) == 15
    assert "long is left out" in caplog.text
    cut = fit_maps(tiny_model, lambda: iter(asked),
                   FitSettings(kinds=("shift",), gate=True, too_long="cut"))  # fmt: skip
    assert cut.left_out == 0
    assert sum(cut.clips.values()) == 16
    with pytest.raises(SettingsError, match='"fail" or "cut"'):
        FitSettings(too_long="skip")


def test_progress_rises_to_the_number_of_clips(tiny_model: Any) -> None:
    said: list[float] = []
    fit_maps(tiny_model, lambda: iter(questions()), FitSettings(kinds=("shift",)),
             progress=lambda f, _: said.append(f))  # fmt: skip
    assert said == [n / 7 for n in range(7)]


def test_splits_keep_voices_of_a_question_together() -> None:
    asked = questions(3)
    tuning = list(split_questions(lambda: iter(asked), "tuning")())
    rest = list(split_questions(lambda: iter(asked), "rest")())
    assert len(tuning) + len(rest) == 24
    assert not {group_of(q) for q in tuning} & {group_of(q) for q in rest}
    assert list(split_questions(lambda: iter(asked), "all")()) == asked
    with pytest.raises(SettingsError, match="The split is one of"):
        split_questions(lambda: iter(asked), "test")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"layers": ()}, "layers is empty"),
        ({"layers": (-1,)}, "layers takes"),
        ({"kinds": ("ridge", "spline")}, "Maps are"),
        ({"kinds": ()}, "Maps are"),
        ({"path": "dwt"}, "path is one of"),
        ({"seed": -1}, "seed takes"),
        ({"layers": (4,)}, "could not be used"),
        ({"path_layer": 9}, "no layer 9"),
    ],
)
def test_settings_that_do_not_fit(tiny_model: Any, values: dict, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        fit_maps(tiny_model, lambda: iter(questions()), FitSettings(**values))


def test_too_few_questions(tiny_model: Any) -> None:
    with pytest.raises(SettingsError, match="at least 4 different questions, not 3"):
        fit_maps(tiny_model, lambda: iter(questions()[:3]))


def test_the_public_names(tmp_path: Path, tiny_model: Any) -> None:
    import modgap

    made = modgap.fit_maps(tiny_model, questions(), modgap.FitSettings())
    (fitted,) = made.maps.values()
    assert isinstance(fitted, modgap.FittedMap)
    modgap.save_map(fitted, tmp_path / "m")
    it = modgap.Intervention(rule="map", map=str(tmp_path / "m"), layers=(fitted.layer,))
    assert modgap.compare(tiny_model, make_clip(), None, it, max_new_tokens=2).after is not None
    assert modgap.load_map(tmp_path / "m").card["model"]["hidden_size"] == 32
