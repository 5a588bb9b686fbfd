"""What pyproject.toml cannot say: a wheel carries the explorer, which lies beside the package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

# The run by name, as in .gitignore: whoever builds may have runs of their own beside them.
CARRIED = (
    "app.py",
    "pages/*.py",
    ".streamlit/config.toml",
    "cache/runs/demo/**/*",
)


class BuildWithExplorer(build_py):
    """Puts the explorer into the package that is built, where `modgap.core.folders` looks."""

    def carried(self) -> Iterator[tuple[str, str]]:
        """Each file, and its place in what is built."""
        folder = Path(self.build_lib, "modgap", "explorer")
        for pattern in CARRIED:
            found = [p for p in sorted(Path().glob(pattern)) if p.is_file() and p.name != ".lock"]
            if not found:
                raise FileNotFoundError(f"There is no {pattern}: build modgap from its checkout.")
            yield from ((str(path), str(folder / path)) for path in found)

    def run(self) -> None:
        """Build, and copy; an editable install finds the explorer where it is."""
        super().run()
        if self.editable_mode:
            return
        for source, target in self.carried():
            self.mkpath(str(Path(target).parent))
            self.copy_file(source, target, preserve_mode=False)

    def get_source_files(self) -> list[str]:
        """What an sdist holds."""
        return [*super().get_source_files(), *(source for source, _ in self.carried())]

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """What was built."""
        built = super().get_outputs(include_bytecode)
        return built if self.editable_mode else [*built, *(target for _, target in self.carried())]


setup(cmdclass={"build_py": BuildWithExplorer})
