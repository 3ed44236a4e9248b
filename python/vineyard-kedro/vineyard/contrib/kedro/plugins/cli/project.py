# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The project that a command is asked about: its pipelines, its catalog, what it says about vineyard."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from kedro.framework import project
from kedro.framework.cli.utils import find_run_command
from kedro.framework.session import KedroSession
from kedro.io import DatasetError
from kedro.pipeline import Pipeline
from vineyard.contrib.kedro import settings
from vineyard.contrib.kedro.flows import DEFAULT, registered_pipelines
from vineyard.contrib.kedro.plugins.cli.manners import CommandFailed

if TYPE_CHECKING:
    from kedro.framework.startup import ProjectMetadata


class Project:
    """A Kedro project, read as far as a command asks.

    Parameters
    ----------
    metadata : ProjectMetadata
        What Kedro gives to commands.
    env : str, optional
        The Kedro environment.

    Raises
    ------
    CommandFailed
        By all that is asked of it: the project's own code or configuration can't be read.
    """

    def __init__(self, metadata: ProjectMetadata, env: str | None = None) -> None:
        self.path = Path(metadata.project_path)
        self.package = str(metadata.package_name)
        #: As `kedro run` would find it.
        self.env = env or os.environ.get("KEDRO_ENV") or None

    def pipelines(self) -> dict[str, Pipeline]:
        """Return all pipelines that are registered."""
        try:
            return registered_pipelines()
        except Exception as error:  # it is the project's code
            raise CommandFailed(
                f"The pipelines of {self.package} can't be loaded: {_told(error)}"
            ) from error

    def pipeline(self, name: str | None) -> Pipeline:
        """Return one of them, by default the one that `kedro run` runs."""
        found = self.pipelines()
        try:
            return found[name or DEFAULT]
        except KeyError:
            there = ", ".join(sorted(found)) or "none"
            raise click.BadParameter(
                f"{self.package} has no pipeline '{name or DEFAULT}'; there are: {there}.",
                param_hint="'-p' / '--pipeline'",
            ) from None

    def catalog(self) -> Any:
        """Return the catalog of the environment."""
        try:
            kind = getattr(
                project.settings, "SESSION_CLASS", KedroSession
            )  # older ones have no other
            return kind.create(project_path=self.path, env=self.env).load_context().catalog
        except Exception as error:  # hooks and configuration are the project's
            where = f" in the environment '{self.env}'" if self.env else ""
            raise CommandFailed(
                f"The catalog of {self.package}{where} can't be read: {_told(error)}"
            ) from error

    def settings(self) -> settings.Settings:
        """Return what the project, or the environment, says about vineyard."""
        try:
            return settings.read(project.settings.get("VINEYARD"), self.env)
        except DatasetError as error:
            raise CommandFailed(str(error)) from error

    def shares(self) -> bool:
        """Return whether the plugin's hook works in this project, which may have turned it off."""
        from vineyard.contrib.kedro.plugins.hook import VineyardHook

        disabled = "vineyard-kedro" in project.settings.DISABLE_HOOKS_FOR_PLUGINS
        return not disabled or any(isinstance(h, VineyardHook) for h in project.settings.HOOKS)

    def configuration(self) -> Path:
        """Return the directory that has the environments."""
        return self.path / str(project.settings.CONF_SOURCE)

    def directory_of(self, env: str) -> Path:
        """Return the directory of one of them, which may not be there."""
        root = self.configuration()
        place = Path(os.path.normpath(root / env))
        if root not in place.parents:
            raise click.BadParameter(
                f"'{env}' is no name of an environment: its directory would not be in '{root}'.",
                param_hint="'-e' / '--env'",
            )
        return place

    def naming(self, pipeline: str | None) -> list[str]:
        """Return the options that tell `kedro run` a pipeline: newer releases warn of the older one.

        A project, or a plugin, may bring a command of its own.
        """
        if pipeline in (None, DEFAULT):
            return []
        try:
            command = find_run_command(self.package)
        except Exception as error:  # the project's cli.py
            raise CommandFailed(
                f"The command 'run' of {self.package} can't be loaded: {_told(error)}"
            ) from error
        options = {option for one in getattr(command, "params", ()) for option in one.opts}
        newer = "--pipelines" in options and "," not in str(pipeline)
        return [f"{'--pipelines' if newer else '--pipeline'}={pipeline}"]


def base_environment() -> str:
    """Return the name of the environment that all others build upon."""
    return str(project.settings.CONFIG_LOADER_ARGS.get("base_env", "base"))


def _told(error: BaseException) -> str:
    return str(error) if isinstance(error, DatasetError) else f"{type(error).__name__}: {error}"
