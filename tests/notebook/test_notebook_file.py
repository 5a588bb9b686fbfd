"""docs/notebook.ipynb, run from top to bottom in a kernel of its own, with the tiny family."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

from benchmarks.browser import ROOT
from tests.ears import put_ears

FILE = ROOT / "docs" / "notebook.ipynb"
WIDGET = "application/vnd.jupyter.widget-view+json"
FIGURE = "application/vnd.plotly.v1+json"


@pytest.fixture(scope="module")
def done(ears_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> NotebookNode:
    cache = tmp_path_factory.mktemp("cache")
    put_ears(ears_folder, cache)
    notebook = nbformat.read(FILE, as_version=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODGAP_CACHE", str(cache))
        patch.setenv("IPYTHONDIR", str(cache / "ipython"))
        patch.setenv("PYTHONPATH", str(ROOT))
        client = NotebookClient(
            notebook, timeout=None, kernel_name="python3",
            resources={"metadata": {"path": str(FILE.parent)}},
        )  # fmt: skip
        client.execute()
    return notebook


def output_of(notebook: NotebookNode, source: str) -> NotebookNode:
    """What the cell gives whose last line begins so."""
    (cell,) = [
        c for c in notebook.cells
        if c.cell_type == "code" and c.source.splitlines()[-1].startswith(source)
    ]  # fmt: skip
    (output,) = [o for o in cell.outputs if "data" in o]
    return output.data


def test_it_runs_without_an_error(done: NotebookNode):
    outputs = [o for c in done.cells if c.cell_type == "code" for o in c.outputs]
    assert not [o for o in outputs if o.output_type == "error"]


@pytest.mark.parametrize(
    "cell", ["analysis", "comparison", "patching", "session.sweep", "session.answer_lens", "run"]
)
def test_results_show_a_table_and_a_curve(done: NotebookNode, cell: str):
    code = [c.source.splitlines()[-1] for c in done.cells if c.cell_type == "code"]
    last = next(line for line in code if line == cell or line.startswith(cell + "("))
    (made,) = [
        o.data for c in done.cells
        if c.cell_type == "code" and c.source.splitlines()[-1] == last
        for o in c.outputs if "data" in o
    ]  # fmt: skip
    assert "<table" in made["text/html"]
    assert "<svg" in made["text/html"]
    assert len(made["text/plain"]) < 300, "not all the arrays"
    assert len(made["text/html"]) < 20_000


@pytest.mark.parametrize("cell", ["analysis.plot.alignment", "comparison.plot", "run.plot.gap"])
def test_figures_are_plotlys(done: NotebookNode, cell: str):
    assert output_of(done, cell)[FIGURE]["data"]


def test_the_map_is_a_widget(done: NotebookNode):
    (cell,) = [c for c in done.cells if c.source.endswith("\nalignment")]
    assert WIDGET in cell.outputs[0].data


def test_it_is_committed_without_outputs():
    notebook = nbformat.read(FILE, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
    assert "widgets" not in notebook.metadata
