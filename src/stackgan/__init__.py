"""StackGAN: from a sentence to a 256x256 picture, and from captioned photographs to such a model.

The path of a sentence, file by file::

    caption --text/char_cnn_rnn--> embedding --networks/conditioning--> condition
            --systems/stackgan/stage1--> sketch 64x64 --stage2--> picture 256x256

all in pipeline.py.

The path of your photographs::

    files --data/--> batches --systems/losses, training/steps, loop--> checkpoint
          --hub.py--> model folder
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stackgan.version import __version__ as __version__

if TYPE_CHECKING:
    from stackgan.errors import (
        CheckFailed,
        DataError,
        InputError,
        ModelError,
        NonFiniteLoss,
        RunFailed,
        StackGANError,
    )
    from stackgan.hub import load_model, save_model
    from stackgan.model_folder import shipped_models
    from stackgan.pipeline import Result, StackGAN

_HOMES = {
    "StackGAN": "pipeline",
    "Result": "pipeline",
    "load_model": "hub",
    "save_model": "hub",
    "shipped_models": "model_folder",
    "StackGANError": "errors",
    "InputError": "errors",
    "DataError": "errors",
    "ModelError": "errors",
    "CheckFailed": "errors",
    "RunFailed": "errors",
    "NonFiniteLoss": "errors",
}

__all__ = [
    "CheckFailed",
    "DataError",
    "InputError",
    "ModelError",
    "NonFiniteLoss",
    "Result",
    "RunFailed",
    "StackGAN",
    "StackGANError",
    "__version__",
    "load_model",
    "save_model",
    "shipped_models",
]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use, so that the command line starts without torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'stackgan' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"stackgan.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
