"""The package data: the catalog's JSON files, one fact a line, nulls and recomputable columns left out."""

from importlib.resources import files


def read(name: str) -> bytes:
    """The bytes of one data file (`gpus.json`); the only I/O of this room."""
    return files(__name__).joinpath(name).read_bytes()
