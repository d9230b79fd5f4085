"""The kind of work of a job: what the durations of predictions are learned by."""

from __future__ import annotations

from ..providers import Provider
from ..providers.validation import infer_scene
from ..scheduling.polling.durations import WorkKind
from ..types.inputs import ImageInput, Input

__all__ = ["kind_of_input", "kind_of_model"]


def kind_of_model(model: str, provider: Provider) -> WorkKind:
    """Return the kind of work of a prediction of which only the model is known."""
    spec = provider.find_model(model)
    return (spec.kind.value if spec else "image", provider.name, spec.name if spec else model)


def kind_of_input(input: Input, provider: Provider) -> WorkKind:
    """Return the kind of work of an input, from the general to the special."""
    size = f"{input.resolution} x {input.n}" if isinstance(input, ImageInput) else f"{input.duration} s"
    model = input.model or ""
    spec = provider.find_model(model)
    # A prediction of an earlier run may be of a model that the provider does not list any more.
    scene = "" if spec is None else (infer_scene(spec, input) or spec.scenes[0]).value
    return (*kind_of_model(model, provider), scene, size)
