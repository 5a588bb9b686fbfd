"""Maps on the disk: they come back, are named, pinned, and refused where they are no maps."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from modgap.core.errors import SettingsError
from modgap.interventions.intervention import Intervention, parse_stack
from modgap.interventions.maps.affine import FittedMap
from modgap.interventions.maps.card import card_of, read_card
from modgap.interventions.maps.files import known_maps, load_map, save_map
from modgap.interventions.maps.pins import identity_of, keyed, pin, pinned


def made(seed: int = 0, **more: object) -> FittedMap:
    noise = torch.Generator().manual_seed(seed)
    x, y, left, right = (
        torch.randn(*shape, generator=noise) for shape in ((4,), (4,), (4, 2), (2, 4))
    )
    return FittedMap("residual", 1, x, y, torch.ones(4), left, right, card={"n": 3}, **more)  # type: ignore[arg-type]


def test_a_map_comes_back(tmp_path: Path) -> None:
    ours = made(gate=torch.tensor([0.1, -2.0, 3.0, 0.0]))
    folder = save_map(ours, tmp_path / "my map, new")
    again = load_map(folder)
    assert again.identity == ours.identity
    assert (again.kind, again.layer, again.card, again.rank) == ("residual", 1, {"n": 3}, 2)
    h = torch.randn(5, 4)
    assert torch.equal(again.apply(h), ours.apply(h))
    assert {p.name for p in tmp_path.iterdir()} == {"my map, new"}  # nothing unfinished
    assert {p.name for p in folder.iterdir()} == {"arrays.safetensors", "meta.json"}
    assert json.loads((folder / "meta.json").read_text())["meta"]["card"] == {"n": 3}


def test_the_identity_is_of_the_numbers_alone(tmp_path: Path) -> None:
    ours = made()
    assert replace(ours, card={}, kind="ridge").identity == ours.identity
    assert made(1).identity != ours.identity
    assert replace(ours, gate=torch.zeros(4)).identity != ours.identity
    assert replace(ours, diagonal=None).identity != ours.identity


def test_names_and_pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODGAP_CACHE", str(tmp_path / "cache"))
    first = made()
    save_map(first, "mine")
    assert known_maps()["mine"].identity == first.identity
    it = Intervention(rule="map", map="mine")
    (told,) = pinned([it])
    assert told.map == f"mine@{first.identity[:16]}"
    assert pinned([told, Intervention()]) == (told, Intervention())
    assert pin(told.map) == told.map
    assert keyed(told) == keyed(it) == {**it.to_dict(), "map": first.identity[:16]}
    save_map(first, tmp_path / "elsewhere")
    moved = replace(it, map=str(tmp_path / "elsewhere"))
    assert keyed(moved) == keyed(it)
    save_map(made(1), "mine")  # replaced
    assert keyed(it) != keyed(told)
    assert load_map("mine").identity == made(1).identity
    with pytest.raises(SettingsError, match="is another by now"):
        load_map(told.map)
    assert identity_of(told.map) == first.identity[:16]
    assert parse_stack(told.to_text()) == (told,)
    odd = Intervention(rule="map", map="a,b;c%=d/e f@" + "0" * 16)
    assert parse_stack(f"{odd.to_text()};{it.to_text()}") == (odd, it)


def test_what_is_no_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODGAP_CACHE", str(tmp_path / "cache"))
    for name in ("none", "", str(tmp_path), "a\0b", "."):
        with pytest.raises(SettingsError, match=r"no map|no name"):
            load_map(name)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "work.txt").write_text("mine")
    with pytest.raises(SettingsError, match="holds no map"):
        save_map(made(), tmp_path / "full")
    assert (tmp_path / "full" / "work.txt").read_text() == "mine"
    folder = save_map(made(), tmp_path / "cache" / "maps" / "broken")
    blob = bytearray((folder / "arrays.safetensors").read_bytes())
    blob[-1] ^= 1
    (folder / "arrays.safetensors").write_bytes(blob)
    with pytest.raises(SettingsError, match="fit it again"):
        load_map("broken")
    (folder / "meta.json").write_text("{}")
    with pytest.raises(SettingsError, match="fit it again"):
        load_map("broken")
    assert known_maps() == {}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"mean_y": torch.ones(3)}, "its mean_y has shape"),
        ({"left": None}, "its right has shape"),
        ({"left": torch.ones(4, 3)}, "its left has shape"),
        ({"gate": torch.ones(2)}, "its gate has shape"),
        ({"mean_x": torch.full((4,), float("nan"))}, "not finite"),
        ({"mean_x": torch.ones(2, 2)}, "has shape"),
    ],
)
def test_tensors_that_do_not_fit(values: dict, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        replace(made(), **values)


def test_states_of_another_width() -> None:
    made().check(4)
    with pytest.raises(SettingsError, match="states of 4 numbers, and the model's have 32"):
        made().check(32)


def test_a_card_may_come_from_anyone() -> None:
    nonsense = {
        "model": [], "data": {"name": 3}, "clips": {"fit": True}, "pairs": "many",
        "held_out": {"explained": "much", "pairs": 7.0, "cosine": float("nan")},
    }  # fmt: skip
    card = read_card(replace(made(), card=nonsense))
    assert (card.model, card.data, card.clips, card.pairs) == ("?", "?", None, None)
    assert (card.held.explained, card.held.pairs, card.held.cosine) == (None, 7, None)
    assert card.without_gate is None
    assert card_of(made())["n"] == 3
