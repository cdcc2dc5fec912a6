"""The released models by name: built from official tensors, answering as released, and given back as they came.

`build` takes official parameter names and arrays and returns a module; where the release is one of ours in other
words, `module.model` is that `MotionModel`, whose state is an ordinary checkpoint. `export` is its inverse, to the bit.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import cast

import numpy as np
import torch
from torch import nn

from moviestrip.errors import ConfigError, FatalError
from moviestrip.models.official.releases import RELEASES, Release
from moviestrip.models.official.weights import check_names, fill, official_values

KINDS = tuple(release.kind for release in RELEASES)


def build(kind: str, tensors: Mapping[str, np.ndarray]) -> nn.Module:
    """A released model with its weights, in evaluation mode; the tensors say how large it is.

    Its weights are frozen, so that outputs carry no gradient; `requires_grad_(True)` to train it on.

    Args:
        kind: one of `KINDS`.
        tensors: official name -> values. Names of TensorFlow may end in `:0`. Buffers of the body model, optimiser
            state and the other networks of the same file may be among them and are left aside.
    """
    release_type = _release(kind)
    named = {name.removesuffix(":0"): np.asarray(values) for name, values in tensors.items()}
    weights = tuple(release_type.weights_of(named))
    check_names(kind, weights, named, re.compile(release_type.elsewhere))
    with torch.device("meta"):
        release = release_type.sized(named)
    release.weights = weights
    fill(release, weights, named)
    return release.requires_grad_(False).eval()


def export(kind: str, module: nn.Module) -> dict[str, np.ndarray]:
    """The weights of a module that `build` made, under their official names and in their official layout."""
    release_type = _release(kind)
    if not isinstance(module, release_type):
        raise ConfigError(f"a {type(module).__name__} is not {kind}; give the kind it was built as")
    return official_values(module, cast(Release, module).weights)


def recognise(names: Iterable[str]) -> str:
    """Which released model has tensors of these names; of several in one file, the largest."""
    known = {name.removesuffix(":0") for name in names}
    for release in RELEASES:
        if release.recognises(known):
            return release.kind
    looked_for = "; ".join(f"{release.kind}: {', '.join(release.marks)}" for release in RELEASES)
    raise FatalError(f"none of the released models has these {len(known)} names; looked for {looked_for}")


def _release(kind: str) -> type[Release]:
    for release in RELEASES:
        if release.kind == kind:
            return release
    nearest = difflib.get_close_matches(kind, KINDS, n=1, cutoff=0)[0]
    raise ConfigError(f"unknown kind '{kind}'; the nearest is '{nearest}' (known: {', '.join(KINDS)})")
