"""Uploads a finished run to the Hugging Face Hub, through its own package."""

from __future__ import annotations

import os

from tl_keras.backbones.hugging_face import parse_repository
from tl_keras.console import first_line
from tl_keras.errors import ConfigError, ExportError
from tl_keras.reporting.finished_run import read_run

# What a stranger needs to use the model. The pages, with pictures of the images, and their names in splits.json stay here.
_FILES = ("README.md", "config.json", "labels.txt", "model.keras", "result.json")


def parse_target(address: str) -> str:
    """Returns the name of a repository to push to, `USER/NAME`, from its address.

    Args:
      address: Address such as `hf://user/name`.

    Raises:
      ConfigError: It is another, or names a revision.
      DependencyError: `huggingface_hub` is not installed.
    """
    name, revision = parse_repository(address, option="push")
    if revision:
        raise ConfigError(
            f"push: expected hf://USER/NAME without a revision. Received: {address}. Leave @{revision} out."
        )
    return name


def push(workdir: str | os.PathLike[str], repository: str) -> str:
    """Uploads model card, config, result, `model.keras` and the exports of a finished run; returns where they are.

    The repository is made if it is not there. The account is that of `hf auth login`, or of the variable `HF_TOKEN`.

    Args:
      workdir: Directory of the run.
      repository: Its name, `USER/NAME`.

    Raises:
      ExportError: The Hub does not take it; the run is as it was.
    """
    from huggingface_hub import HfApi

    run, api = read_run(workdir), HfApi()
    exports = [f"{row['path']}/**" for row in run.result.export]
    try:
        api.create_repo(repository, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repository,
            folder_path=run.path,
            allow_patterns=[*_FILES, *exports],
            commit_message=f"{run.name}, trained with tl_keras",
        )
    except Exception as error:  # of the network, of rights, of the Hub: each has its own type
        raise ExportError(
            f"push: expected the Hub to take {repository}. Received: {first_line(error)}. The run is finished and stays; log in "
            "with hf auth login, and the same command tries again."
        ) from error
    return str(commit.repo_url)
