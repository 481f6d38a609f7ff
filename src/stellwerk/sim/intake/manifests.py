"""The objects of an argument: one file, or all manifests of a folder, read and checked together."""

from collections.abc import Sequence
from pathlib import Path

from stellwerk.adapters.files import expand, list_manifest_files, read_raw, sha256
from stellwerk.api.manifests import Manifest, load_manifests
from stellwerk.api.validation import validate
from stellwerk.sim.demand.load import Input


def read_manifests(argument: str, role: str) -> tuple[list[Manifest], tuple[Input, ...]]:
    """The valid objects of a file or folder, and what was read, each as an input with `role`.

    Raises InvalidInput.
    """
    return read_all([argument], role)


def read_all(arguments: Sequence[str], role: str) -> tuple[list[Manifest], tuple[Input, ...]]:
    """The same for several files and folders, checked together."""
    manifests, inputs = read_unchecked(arguments, role)
    validate(manifests)
    return manifests, inputs


def read_unchecked(arguments: Sequence[str], role: str) -> tuple[list[Manifest], tuple[Input, ...]]:
    """Objects of the right types, not yet checked as the API server does. Raises InvalidInput."""
    files = [file for argument in arguments for file in _files(argument)]
    manifests: list[Manifest] = []
    inputs: list[Input] = []
    for file in files:
        raw = read_raw(file)
        inputs.append(Input(role, file, sha256(raw)))
        manifests += load_manifests(expand(raw, file), file)
    return manifests, tuple(inputs)


def _files(argument: str) -> list[str]:
    return [str(path) for path in list_manifest_files(argument)] if Path(argument).is_dir() else [argument]
