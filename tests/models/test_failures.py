"""What goes wrong on the way to a model, raised by the libraries themselves, in one sentence."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import modgap
from modgap.core.errors import ModelError
from modgap.interventions.intervention import Intervention
from modgap.interventions.prefill import Prefill
from modgap.models.loading.load import load_model
from modgap.models.loading.load_errors import explained
from modgap.models.loading.memory import estimate_memory
from tests.hub import SHA, LocalHub, local_hub
from tests.tiny import make_clip

# Constants of the hub's client are read when it is imported, so it gets a process of its own.
SCRIPT = """
import json, sys
from modgap.interventions.intervention import Intervention
from modgap.models.loading.load import load_model
from modgap.models.loading.memory import estimate_memory
out = []
for task, name, options in json.loads(sys.argv[1]):
    try:
        found = (load_model if task == "load" else estimate_memory)(name, **options)
        out.append({"identity": getattr(found, "identity", None),
                    "revision": getattr(found, "revision", None),
                    "parameters": getattr(found, "parameters", None),
                    "template": getattr(found, "template", None)})
    except Exception as error:
        out.append({"error": type(error).__name__, "says": str(error)})
print(json.dumps(out))
"""


@pytest.fixture
def hub(tiny_folder: Path) -> Iterator[LocalHub]:
    with local_hub(tiny_folder) as running:
        yield running


@pytest.fixture
def ask(tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """`ask(endpoint, [task, name, options], ...)` in a new process with a cache of its own."""

    def run(endpoint: str, *tasks: Any) -> list[dict[str, Any]]:
        env = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "TRANSFORMERS_"))}
        env |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}
        env |= {"PYTHONPATH": str(Path(modgap.__file__).parents[1])}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, json.dumps(tasks)],
            env=env, capture_output=True, text=True, check=True, timeout=600,
        )  # fmt: skip
        return json.loads(done.stdout.splitlines()[-1])

    return run


def test_what_the_hub_refuses(hub: LocalHub, ask: Callable[..., Any]) -> None:
    names = ("gated", "missing", "revision", "broken")
    tasks = [[task, f"org/{name}", {}] for name in names for task in ("load", "estimate")]
    found = ask(hub.url, *tasks)
    assert {f.get("error") for f in found} == {"ModelError"}, found
    for f in found:
        assert "\n" not in f["says"]
        assert len(f["says"]) < 400
    gated, gated2, missing, missing2, revision, revision2, broken, broken2 = (
        f["says"] for f in found
    )
    assert "gated: accept its terms" in gated == gated2
    assert "no model org/missing" in missing == missing2
    assert "no such revision" in revision == revision2
    assert broken == broken2
    assert "not on this machine" in broken
    assert "the hub answered 500: try again later" in broken
    assert not any("whole" in path for path in hub.asked)


def test_a_hub_id_with_a_revision(
    hub: LocalHub, ask: Callable[..., Any], tiny_folder: Path
) -> None:
    estimate, loaded = ask(
        hub.url, ["estimate", "org/whole", {}], ["load", "org/whole", {"revision": "v1"}]
    )
    assert estimate["parameters"] == estimate_memory(tiny_folder).parameters
    assert loaded["revision"] == SHA
    assert loaded["identity"] != load_model(tiny_folder).identity, "a hub's model is its commit"
    assert "GET /api/models/org/whole/revision/v1" in hub.asked
    # Everything is of the commit that the first answer named.
    assert all(f"/resolve/{SHA}/" in p for p in hub.asked if "/resolve/" in p)


def test_an_estimate_fetches_the_config_alone(hub: LocalHub, ask: Callable[..., Any]) -> None:
    (found,) = ask(hub.url, ["estimate", "org/whole", {}])
    assert hub.files() == {"config.json"}
    assert found["template"] == "unknown"


def test_no_network(hub: LocalHub, ask: Callable[..., Any]) -> None:
    nowhere = "http://127.0.0.1:9"  # the discard port: nothing listens
    (found,) = ask(nowhere, ["load", "org/whole", {}])
    assert "hub cannot be reached" in found["says"]
    assert "name a folder" in found["says"]
    (online,) = ask(hub.url, ["load", "org/whole", {}])
    offline, estimate = ask(nowhere, ["load", "org/whole", {}], ["estimate", "org/whole", {}])
    assert offline == online, "what was fetched before is enough"
    assert estimate["template"] == "file"


@pytest.mark.parametrize(
    "status", [503, *(pytest.param(code, marks=pytest.mark.slow) for code in (429, 407))]
)
def test_a_hub_that_answers_with_an_error(
    hub: LocalHub, ask: Callable[..., Any], status: int
) -> None:
    (online,) = ask(hub.url, ["load", "org/whole", {}])
    hub.status = status
    again, nothing = ask(hub.url, ["load", "org/whole", {}], ["load", "org/other", {}])
    assert again == online, "what was fetched before is enough"
    assert f"the hub answered {status}:" in nothing["says"]
    assert ("try again later" in nothing["says"]) == (status != 407)


# ---- memory -------------------------------------------------------------------------------------


def _cpu_tensor() -> None:
    torch.empty(1 << 60)


def _plain_bytes() -> None:
    bytearray(1 << 60)


def _gpu() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")


def _disk() -> None:
    try:
        raise OSError(errno.ENOSPC, "No space left on device")
    except OSError as err:
        raise RuntimeError("data did not arrive") from err


@pytest.mark.parametrize(
    ("fail", "says"),
    [
        (_cpu_tensor, r"does not fit into memory.*bfloat16"),
        (_plain_bytes, r"does not fit into memory.*bfloat16"),
        (_gpu, r"GPU's memory.*4bit"),
        (_disk, "disk is full"),
    ],
)
def test_no_room(fail: Callable[[], None], says: str) -> None:
    with pytest.raises(ModelError, match=says), explained("some/model", None):
        fail()


# ---- devices ------------------------------------------------------------------------------------


def offloaded(tiny_model: Any) -> dict[str, str]:
    """Two of the layers on the disk."""
    names = [n for n, m in tiny_model.hf.named_modules() if not list(m.children())]
    held = {name: "cpu" for name in names if ".layers." not in name or "audio" in name}
    layers = {f"model.language_model.layers.{n}": "cpu" for n in (0, 3)}
    return held | layers | {f"model.language_model.layers.{n}": "disk" for n in (1, 2)}


@pytest.mark.parametrize("device_map", ["auto", "disk"])
def test_a_device_map(
    tiny_folder: Path, tiny_model: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    device_map: Any,
) -> None:  # fmt: skip
    pytest.importorskip("accelerate", reason="pip install accelerate")
    monkeypatch.chdir(tmp_path)
    spread = offloaded(tiny_model) if device_map == "disk" else device_map
    model = load_model(tiny_folder, device_map=spread, dtype="float32")
    pair = model.prepare(make_clip(), "What is two plus three?")
    for prompt in (pair.speech, pair.text):
        expected = tiny_model.generate(prompt, max_new_tokens=5)
        assert model.generate(prompt, max_new_tokens=5) == expected
    assert model.identity == tiny_model.identity
    change = Intervention(rule="angle", layers=(2,), tokens="all")
    edited = [Prefill.of(m, pair).run([(change,)]).logits for m in (model, tiny_model)]
    torch.testing.assert_close(*edited)
