"""Representation learning in the parameter space of Bayesian Flow Networks.

The names below load their module when they are first used, so that `import paramrel` and
`paramrel --help` answer at once: torch alone takes seconds.
"""

__version__ = "0.2.0"

from importlib import import_module

_home = {
    "ParamReL": "models.paramrel",
    "Autoencoder": "models.autoencoders",
    "DiffusionAutoencoder": "models.diffusion",
    "PlainBFN": "models.diffusion",
    "build_model": "models.families",
    "open_model": "models.families",
    "MODELS": "settings",
    "TrainConfig": "settings",
    "PRESETS": "settings",
    "fit": "training.fit",
    "load": "data.sets",
    "ContinuousFlow": "channel.flows",
    "DiscretizedFlow": "channel.flows",
    "DiscreteFlow": "channel.flows",
    "BinaryFlow": "channel.flows",
    "MixedFlow": "channel.mixed",
    "ParamReLTransformer": "apps.estimator",
}
__all__ = ["__version__"] + list(_home)


def __getattr__(name):
    if name not in _home: raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_home[name]}"), name)
    return value


def __dir__():
    return sorted({*globals(), *_home})
