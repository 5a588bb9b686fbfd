"""Where a name leads: a member of the embedded family, a folder, or the hub; and its config."""

from __future__ import annotations

import contextlib
import importlib
import re
from pathlib import Path
from typing import Any

from modgap.core.errors import ModelError
from modgap.core.files import write_atomic
from modgap.core.folders import cache_folder, not_written
from modgap.models.loading.embedded import is_embedded
from modgap.models.loading.folder_check import check_folder
from modgap.models.loading.load_errors import explained

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def named_revision(name: str) -> tuple[str, str | None]:
    """What a name leads to, and the revision that it carries: ``org/name@revision``.

    A folder may have an "@" in its name, and the embedded snapshots ("demo:lora@1") have one.
    """
    id, mark, revision = name.partition("@")
    if mark and revision and _HUB_ID.fullmatch(id) and not Path(name).expanduser().is_dir():
        return id, revision
    return name, None


def locate(
    name: str, revision: str | None, cache_dir: str | Path | None
) -> tuple[str, Path | None]:
    """Return what from_pretrained takes, and the folder if it is one.

    Raises
    ------
    ModelError
        The name leads nowhere.
    """
    if is_embedded(name):
        family = importlib.import_module("modgap.demo.family")
        where = Path(cache_dir or cache_folder() / "models")
        try:
            folder = Path(family.resolve(name, where))
        except (FileNotFoundError, ValueError) as err:
            raise ModelError(str(err)) from err
        except OSError as err:  # it is put together of its parts in the cache
            raise ModelError(not_written(where, err)) from err
    else:
        folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ModelError(
                f"The folder {name} holds no config.json: name the folder of a transformers "
                "checkpoint (config.json, *.safetensors, tokenizer and processor files)."
            )
        if revision is not None:
            raise ModelError("A folder has no revisions: leave revision out.")
        return str(folder), folder
    if not _HUB_ID.fullmatch(name):
        raise ModelError(
            f'There is no folder {name}, and it is not a hub id such as "Qwen/Qwen2-Audio-7B-'
            'Instruct". The embedded models are "demo", its snapshots ("demo:lora@1") and '
            '"demo:base".'
        )
    return name, None


def read_config(
    name: str,
    where: str,
    folder: Path | None,
    revision: str | None,
    cache_dir: str | Path | None = None,
    trust_remote_code: bool = False,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The config.json that `locate` led to, and what from_pretrained takes for the other files.

    Raises
    ------
    ModelError
        It cannot be had, or is no config.
    """
    import transformers

    with explained(name, folder):
        if folder is not None:
            check_folder(name, folder)
        commit, refusal = (None, None) if folder else _hub_commit(where, revision)
        asked = revision or "main"
        known = None if folder or commit else _remembered(where, asked, cache_dir)
        options = {
            "revision": commit or known or asked,
            "cache_dir": None if folder else cache_dir,
            # Without an answer from the hub, what lies on this machine has to do.
            "local_files_only": commit is None,
            "trust_remote_code": trust_remote_code,
        }
        try:
            found, _ = transformers.PretrainedConfig.get_config_dict(where, **options)
        except OSError as err:
            if refusal is not None:
                raise refusal from err
            raise
        if not isinstance(found, dict):
            raise ValueError("config.json is no JSON object")
        if commit is not None:
            _remember(where, asked, commit, cache_dir)
    return found, options


def _hub_commit(name: str, revision: str | None) -> tuple[str | None, Exception | None]:
    """Ask the hub once which commit is meant; None without an answer, and what came instead.

    An answer is also that there is no such model or revision, or that this user has no access: that
    is raised. An error of the server, too many requests or a proxy that refuses say nothing of the
    model.

    from_pretrained would ask for file after file, each with half a minute of retries, and could mix
    the files of two commits.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        HfHubHTTPError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return HfApi().model_info(name, revision=revision, timeout=10).sha, None
    except (RepositoryNotFoundError, RevisionNotFoundError):  # a gated one is of the first kind
        raise
    except HfHubHTTPError as err:
        return None, err
    except ValueError:
        raise
    except Exception:  # the transport's own errors; which library it is changes with versions
        return None, None


def _ref(name: str, revision: str, cache_dir: str | Path | None) -> Path:
    """The file of the hub's cache that says which commit a revision was when it was last asked."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    folder = repo_folder_name(repo_id=name, repo_type="model")
    return Path(cache_dir or constants.HF_HUB_CACHE) / folder / "refs" / revision


def _remember(name: str, revision: str, commit: str, cache_dir: str | Path | None) -> None:
    """Note it as the hub's client does for a branch: files are asked for by their commit here."""
    if revision == commit:
        return
    path = _ref(name, revision, cache_dir)
    with contextlib.suppress(OSError):  # a cache that cannot be written can still be read
        write_atomic(path, commit.encode())


def _remembered(name: str, revision: str, cache_dir: str | Path | None) -> str | None:
    try:
        return _ref(name, revision, cache_dir).read_text().strip() or None
    except OSError:
        return None
