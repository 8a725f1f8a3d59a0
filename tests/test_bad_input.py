"Bad input is refused where it comes in: one line that names the argument, what it got and what it needs."
import functools
import gzip
import json
import math
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import victims
from safetensors.torch import load_file, save_file

from paramrel import settings
from paramrel.apps import figures, runs
from paramrel.channel import flows, losses, mixed, samplers, schedules
from paramrel.data import sets
from paramrel.data.codec import TableCodec
from paramrel.evaluation import estimates, likelihood, probes, samples, usage
from paramrel.models import divergences, latents, tasks
from paramrel.networks import blocks, mlp, pairs
from paramrel.training import fit as training
from paramrel.apps.cli import main
from paramrel.channel.distributions import Delta
from paramrel.models.encoder import reading
from paramrel.models.paramrel import ParamReL, start_from
from paramrel.models.bounds import upper_bound
from paramrel.settings import TrainConfig

nan, inf = math.nan, math.inf
zeros, ones = torch.zeros, torch.ones
REAL, DISC = flows.ContinuousFlow(), flows.DiscretizedFlow(16)
CLASSES, BITS = flows.DiscreteFlow(4, 1.), flows.BinaryFlow(9.)
WARPED = schedules.LearnedSchedule(schedules.QuadraticSchedule(1.), (0., .1, 1.))
MIXED = mixed.MixedFlow((flows.ContinuousFlow(bound=None), 1), (CLASSES, 1))
BELIEF = BITS.output(zeros(4, 6), zeros(4, 6))


@functools.cache
def net(**options): return victims.model(**options)


def bits(n=4, *shape): return zeros(n, *(shape or (6,)), dtype=torch.long)


def with_(x, value):
    x = x.clone()
    x.view(-1)[0] = value
    return x


def config(**options): return lambda: TrainConfig(**options)


def setup(**options): return lambda: settings.Setup(**options)


def fit(x=None, changes=(), model=None, **options):
    "A training of one step in the folder `run`, its configuration changed behind its back."
    c = TrainConfig(**{"steps": 1, "batch_size": 4} | options)
    for name, value in dict(changes).items(): setattr(c, name, value)
    return training.fit(model or net(), victims.data() if x is None else x, c, "run", progress=False)


def codec(X): return TableCodec().fit(X)


def objects(*values):
    "A column that holds them as they are."
    v = np.empty(len(values), object)
    v[:] = values
    return v


times = torch.linspace(0, 1, 3)


def belief(η, t): return net().predictor(zeros(len(η), 2))(η, t)


API = {
    # schedules
    "sigma1 zero": (lambda: schedules.ExponentialSchedule(0.), r"sigma1=0.0 .*\(0, 1\)"),
    "sigma1 one": (lambda: schedules.ExponentialSchedule(1.), r"sigma1=1.0 .*\(0, 1\)"),
    "sigma1 nan": (lambda: schedules.ExponentialSchedule(nan), r"sigma1=nan .*\(0, 1\)"),
    "beta_end negative": (lambda: schedules.QuadraticSchedule(-1.), r"beta_end=-1.0 .*positive"),
    "t above one": (lambda: schedules.QuadraticSchedule(1.).beta(1.5),
        r"t has values in \[1.5, 1.5\], needs \[0, 1\]"),
    "t negative": (lambda: schedules.ExponentialSchedule(.1).rate(-.1),
        r"t has values in \[-0.1, -0.1\], needs \[0, 1\]"),
    "t nan": (lambda: schedules.QuadraticSchedule(1.).beta(torch.tensor([.5, nan])),
        r"t has values in \[nan, nan\], needs \[0, 1\]"),
    "beta negative": (lambda: schedules.QuadraticSchedule(1.).time(-1.),
        r"beta has values in \[-1, -1\], needs \[0"),
    "knots falling": (lambda: schedules.LearnedSchedule(schedules.QuadraticSchedule(1.), (0., .7, .5, 1.)),
        r"knots=\(0.0, 0.7, 0.5, 1.0\) .*increase"),
    "too many knots": (lambda: schedules.evened_out(schedules.QuadraticSchedule(1.), times, ones(3), 33),
        r"knots=33 .* 3"),
    "too many knots for the variance": (
        lambda: schedules.least_variance(schedules.QuadraticSchedule(1.), times, ones(3)), r"knots=33 .* 3"),
    "a warp of a warp": (lambda: schedules.LearnedSchedule(WARPED, (0., .5, 1.)),
        r"base=LearnedSchedule needs to be .*inner"),
    "a warp of a record": (lambda: schedules.LearnedSchedule(MIXED.schedule, (0., .5, 1.)),
        r"base=MixedSchedule needs to be"),
    # flows
    "grey values to a continuous flow": (lambda: REAL.validate(torch.full((2, 4), 255.)),
        r"x has values in \[255, 255\], needs \[-1, 1\]"),
    "bytes to a continuous flow": (lambda: REAL.validate(zeros(2, 4, dtype=torch.uint8)),
        r"x has dtype torch.uint8, ContinuousFlow needs floating point"),
    "nan to a continuous flow": (lambda: REAL.validate(with_(zeros(2, 4), nan)),
        r"x has values in \[nan, nan\], needs \[-1, 1\]"),
    "inf to an unbounded flow": (lambda: flows.ContinuousFlow(bound=None).validate(with_(zeros(2, 4), inf)),
        r"x has values in \[0, inf\]"),
    "nan to a discretized flow": (lambda: DISC.validate(with_(zeros(2, 4), nan)),
        r"x has values in \[nan, nan\]"),
    "grey values to a discretized flow": (lambda: DISC.validate(torch.full((2, 4), 200.)),
        r"x has values in \[200, 200\], needs \[-1, 1\]"),
    "bins of a discretized flow as integers": (lambda: DISC.validate(bits()),
        r"x has dtype torch.int64, DiscretizedFlow needs floating point"),
    "a class too many": (lambda: CLASSES.validate(with_(bits(), 4)),
        r"x has values in \[0, 4\], needs \[0, 3\]: .*K=4"),
    "a negative class": (lambda: CLASSES.validate(with_(bits(), -1)),
        r"x has values in \[-1, 0\], needs \[0, 3\]"),
    "classes as floats": (lambda: CLASSES.validate(zeros(2, 4)),
        r"x has dtype torch.float32, DiscreteFlow needs integers"),
    "a bit that is two": (lambda: BITS.validate(with_(bits(), 2)),
        r"x has values in \[0, 2\], needs \[0, 1\]"),
    "half a bit": (lambda: BITS.validate(with_(zeros(2, 4), .5)),
        r"x has values between 0 and 1, BinaryFlow needs zeros and ones"),
    "bits nan": (lambda: BITS.validate(with_(zeros(2, 4), nan)),
        r"x has values in \[nan, nan\], needs \[0, 1\]"),
    "an empty batch": (lambda: net().loss(bits(0)), r"x has shape \(0, 6\), .*needs"),
    "a list for a batch": (lambda: net().loss([[0]*6]), r"x is a list, .*needs a tensor"),
    "an array for a batch": (lambda: net().encode(np.zeros((2, 6))), r"x is a ndarray, .*needs a tensor"),
    "K one": (lambda: flows.DiscreteFlow(1, 1.), r"K=1 .*≥ 2"),
    "K a fraction": (lambda: flows.DiscreteFlow(2.5, 1.), r"K=2.5 .*integer"),
    "beta1 zero": (lambda: flows.BinaryFlow(0.), r"beta1=0.0 .*positive"),
    "beta1 negative": (lambda: flows.DiscreteFlow(4, -1.), r"beta1=-1.0 .*positive"),
    "beta1 inf": (lambda: flows.BinaryFlow(inf), r"beta1=inf .*finite"),
    "one bin": (lambda: flows.DiscretizedFlow(1), r"bins=1 .*≥ 2"),
    "prediction unknown": (lambda: flows.ContinuousFlow(prediction="eps"),
        r"prediction='eps' .*'v', 'noise', 'x'"),
    "bound negative": (lambda: flows.ContinuousFlow(bound=-1.), r"bound=-1.0 .*positive"),
    "clip without a bound": (lambda: flows.ContinuousFlow(bound=None, clip=True), r"clip=True .*bound"),
    "noise unclipped": (lambda: flows.ContinuousFlow(prediction="noise", clip=False),
        r"clip=False .*'noise'"),
    "a mixed flow of nothing": (mixed.MixedFlow, r"MixedFlow needs at least one"),
    "a block of no columns": (lambda: mixed.MixedFlow((BITS, 0)), r"columns=\[0\]"),
    "records too narrow": (lambda: MIXED.validate(zeros(2, 3)),
        r"x has shape \(2, 3\), MixedFlow needs \(B, 2\)"),
    "a fraction for a class": (lambda: MIXED.validate(torch.tensor([[0., 1.5]])), r"x has fractions"),
    "kind of a flow unknown": (lambda: mixed.make_flow({"kind": "Flow"}), r"kind='Flow' .*ContinuousFlow"),
    "network output of another shape": (lambda: BITS.output(zeros(2, 5), zeros(2, 6)),
        r"h has shape \(2, 5\), BinaryFlow needs \(2, 6\)"),
    # losses, divergences
    "n zero": (lambda: losses.n_step_loss(BITS, bits(), BELIEF, ones(4), 0), r"n=0 .*at least 1"),
    "a step beyond n": (lambda: losses.n_step_loss(BITS, bits(), BELIEF, 5*ones(4), 3),
        r"i has values in \[5, 5\], needs \[1, 3\]"),
    "a point without width": (lambda: losses.reconstruction_loss(REAL, zeros(2, 3), Delta(zeros(2, 3))),
        r"width=None.*positive width"),
    "width negative": (lambda: losses.reconstruction_loss(REAL, zeros(2, 3), Delta(zeros(2, 3)), width=-1.),
        r"width=-1.0.*positive width"),
    "bins of a loss one": (lambda: losses.reconstruction_loss(REAL, zeros(2, 3), Delta(zeros(2, 3)), 1, .1),
        r"bins=1 .*≥ 2|bins=1 .*at least 2"),
    "a crowd of one": (lambda: divergences.mmd(zeros(1, 3)), r"z has shape \(1, 3\), mmd needs"),
    "crowds of other widths": (lambda: divergences.mmd(zeros(3, 3), zeros(3, 2)),
        r"z_prior has shape \(3, 2\), mmd needs \(M, 3\)"),
    "kernel scale zero": (lambda: divergences.RBF(0.), r"scales=\(0.0,\) .*positive"),
    "kernel scale nan": (lambda: divergences.IMQ(nan), r"scales=\(nan,\) .*positive"),
    # networks, encoder
    "dropout one": (lambda: blocks.Dropout(1.), r"dropout=1.0 .*\[0, 1\)"),
    "recompute with dropout": (lambda: blocks.recompute_blocks(net().decoder), r"recompute=True .*dropout=0"),
    "weights of another network": (lambda: pairs.load_matching(mlp.MLP(2, 2), {"a": zeros(1)}),
        r"weights: none of 1 tensors fits"),
    "reads unknown": (lambda: reading(BITS, ones(2, 6), zeros(2, 6), zeros(2), "behind"),
        r"reads='behind' .*'self', 'data', 'ahead'"),
    # the model
    "shape zero": (lambda: victims.model(shape=(1, 0, 8)), r"shape=\(1, 0, 8\) .*positive"),
    "latent_dim zero": (lambda: victims.model(latent_dim=0), r"latent_dim=0 .*at least 1"),
    "channels zero": (lambda: victims.model(channels=0), r"channels=0 .*at least 1"),
    "no levels": (lambda: victims.model(mult=(), shape=(1, 8, 8)), r"mult=\(\) .*at least 1"),
    "a level of nothing": (lambda: victims.model(mult=(1, 0), shape=(1, 8, 8)),
        r"mult=\(1, 0\) .*at least 1"),
    "blocks zero": (lambda: victims.model(blocks=0), r"blocks=0 .*at least 1"),
    "dropout of a model": (lambda: victims.model(dropout=1.5), r"dropout=1.5 .*\[0, 1\)"),
    "dropout nan": (lambda: victims.model(dropout=nan), r"dropout=nan .*\[0, 1\)"),
    "reads of a model": (lambda: victims.model(reads="no"), r"reads='no' .*'self', 'data', 'ahead'"),
    "examples of another shape": (lambda: net().loss(bits(4, 7)),
        r"x has shape \(4, 7\), the model needs \(B, 6\)"),
    "examples of another kind": (lambda: net().encode(torch.full((2, 6), .5)),
        r"x has values between 0 and 1"),
    "examples nan": (lambda: net().loss(torch.full((2, 6), nan)), r"x has values in \[nan, nan\]"),
    "one example": (lambda: net().loss(bits(1)), r"shape \(1, "),
    "gamma above one": (lambda: net(gamma=1.5), r"gamma=1.5 .*≥ 0"),
    "gamma nan": (lambda: net(gamma=nan), r"gamma=nan .*≥ 0"),
    "lam too small": (lambda: net(gamma=.5, lam=.1), r"gamma=0.5 and lam=0.1 .*≥ 0"),
    "lam inf": (lambda: net(lam=inf), r"lam=inf .*finite"),
    "gamma of a deterministic encoder": (lambda: victims.model(deterministic=True, gamma=.5, lam=.6),
        r"gamma=0.5 .*deterministic"),
    "t of a loss": (lambda: net().loss(bits(), t=2*ones(4)), r"t has values in \[2, 2\], needs \[0, 1\]"),
    "t of another length": (lambda: net().loss(bits(), t=zeros(3)), r"t has shape \(3,\), .*\(4,\)"),
    "mmd_groups too many": (lambda: net(mmd_groups=4).loss(bits()), r"mmd_groups=4"),
    "mmd_groups zero": (lambda: net(mmd_groups=0), r"mmd_groups=0 needs"),
    "t of an encoding": (lambda: net().encode(bits(), 1.5), r"t has values in \[1.5, 1.5\]|t=1.5 "),
    "times falling": (lambda: net().encode(bits(), torch.tensor([.5, .2])), r"t=.*0.5.*0.2.* increasing"),
    "times of nothing": (lambda: net().encode(bits(), zeros(0)), r"t=.* needs to be a time"),
    "times nan": (lambda: net().encode(bits(), torch.tensor([nan])), r"t.*nan"),
    "latents of another width": (lambda: net().sample(z=zeros(3, 5)),
        r"z has shape \(3, 5\), the model needs \(B, 2\)"),
    "latents nan": (lambda: net().sample(z=with_(zeros(3, 2), nan), steps=2), r"z has values .*nan"),
    "as many latents as samples": (lambda: net().sample(5, zeros(3, 2)), r"n=5 .*number of latents"),
    "z unknown": (lambda: net().sample(2, "posterior"), r"z='posterior' .*'prior'"),
    "z a number": (lambda: net().sample(2, 3), r"z=3 .*'prior'"),
    "z without a latent flow": (lambda: net().sample(2, "latent-flow"), r"z='latent-flow' .*fit_latent_flow"),
    "sampler unknown": (lambda: net().sample(2, sampler="ddim"), r"sampler='ddim' .*'ancestral'"),
    "no samples": (lambda: net().sample(0), r"n=0 .*at least 1"),
    "samples a fraction": (lambda: net().sample(2.5), r"n=2.5 .*integer"),
    "no steps": (lambda: net().sample(2, steps=0), r"steps=0 .*at least 1"),
    "steps a fraction": (lambda: net().sample(2, steps=2.5), r"steps=2.5 .*integer"),
    "z of a bound": (lambda: upper_bound(net(), bits(), z="twice"), r"z='twice' .*'loop' or 'once'"),
    "n of a bound": (lambda: net().bound(bits(), n=0), r"n=0 .*at least 1"),
    "a preset unknown": (lambda: ParamReL.from_preset("imagenet"), r"preset='imagenet' .*digits"),
    "parts unknown": (lambda: start_from(net(), net(), ("head",)),
        r"parts=\('head',\) .*'encoder', 'decoder'"),
    # samplers, latents
    "grid without steps": (lambda: samplers.time_grid(0), r"steps=0 .*at least 1"),
    "grid unknown": (lambda: samplers.time_grid(3, "cosine"), r"kind='cosine' .*'uniform'"),
    "grid without a flow": (lambda: samplers.time_grid(3, "r"), r"kind='r' .*flow"),
    "grid of a mixed flow": (lambda: samplers.time_grid(3, "r", MIXED), r"kind='r' .*flow of one kind"),
    "times of a sampler falling": (lambda: samplers.ancestral(BITS, belief, zeros(2, 6), times.flip(0)),
        r"times=\[1.0, 0.5, 0.0\] .*increasing"),
    "one time": (lambda: samplers.sde(BITS, belief, zeros(2, 6), times[:1]), r"times=\[0.0\] .*two"),
    "order three": (lambda: samplers.sde(BITS, belief, zeros(2, 6), times, 3), r"order=3 .*1 or 2"),
    "method unknown": (lambda: samplers.ode(BITS, belief, zeros(2, 6), times, "rk4"),
        r"method='rk4' .*'euler'"),
    "inverting another kind": (lambda: samplers.invert(BITS, belief, torch.full((2, 6), .3), times),
        r"x has values between 0 and 1"),
    "inverting along falling times": (lambda: samplers.invert(BITS, belief, bits(), times.flip(0)),
        r"times=\[1.0, 0.5, 0.0\] .*increasing"),
    "reversing along falling times": (lambda: samplers.reverse(BITS, belief, bits(), times.flip(0)),
        r"times=\[1.0, 0.5, 0.0\] .*increasing"),
    "a drawn guess without a generator": (lambda: samplers.reverse(BITS, belief, bits(), times, draw=True),
        r"draw=True needs a generator"),
    "latents for a prior of another width": (lambda: latents.fit_latents(latents.LatentFlow(3), zeros(5, 2)),
        r"z has shape \(5, 2\), needs .*3"),
    "latents for a prior nan": (
        lambda: latents.fit_latents(latents.LatentFlow(2), with_(zeros(5, 2), nan), 2),
        r"z has values .*nan"),
    "a prior of latents in no steps": (lambda: latents.fit_latents(latents.LatentFlow(2), zeros(5, 2), 0),
        r"steps=0 .*at least 1"),
    # tables
    "a table without rows": (lambda: codec({"a": []}), r"X has no rows"),
    "a table that is a column": (lambda: codec(np.ones(3)), r"X has shape \(3,\), needs rows and columns"),
    "a table of text": (lambda: codec(np.array([["a"]])), r"X has dtype <U1, needs numbers"),
    "columns of other lengths": (lambda: codec({"a": [1, 2], "b": [1]}), r"column 'b' has 1 values, needs 2"),
    "a column of two": (lambda: codec({"a": np.ones((2, 2))}), r"column 'a' has shape \(2, 2\), needs one"),
    "a ragged column": (lambda: codec({"a": [[1], [1, 2]]}), r"column 'a' has rows of different lengths"),
    "a column of times": (lambda: codec({"a": np.array(["2020"], "M8[Y]")}),
        r"column 'a' has dtype datetime64"),
    "a column of lists": (lambda: codec({"a": objects([1], [2])}),
        r"column 'a' has values of type list, needs"),
    "a column of nan": (lambda: codec({"a": [1., nan]}), r"column 'a' has NaN or infinite values"),
    "a category missing": (lambda: codec({"a": objects("u", np.float32(nan))}),
        r"column 'a' has missing values"),
    "a category unknown": (lambda: codec({"a": ["u", "v"]}).encode({"a": ["w"]}), r"unknown category 'w'"),
    "a column unknown": (lambda: codec({"a": [1, 2]}).encode({"b": [1]}),
        r"X has the columns b, needs .*: a"),
    "a number far away": (lambda: codec({"a": [1., 2]}).encode({"a": [1e99]}),
        r"column 'a' has \|ζ\| = 2e\+99"),
    # tasks
    "one point": (lambda: tasks.interpolate(net(), bits(), bits(), points=1), r"points=1 .*at least 2"),
    "ends of other numbers": (lambda: tasks.interpolate(net(), bits(3), bits(2), 2, steps=2),
        r"a .*3.*b .*2"),
    "a latent too far": (lambda: tasks.traverse(net(), bits(1), ones(2), [2], times),
        r"dims=\[2\] .*latent_dim=2"),
    "a negative latent": (lambda: tasks.traverse(net(), bits(1), ones(2), [-3], times), r"dims=\[-3\] .*"),
    "no latents": (lambda: tasks.traverse(net(), bits(1), ones(2), [], times), r"dims=\[\] .*"),
    "subcodes of other numbers": (lambda: tasks.decode(net(), tasks.Codes(zeros(2, 2), zeros(3, 6))),
        r"codes have 2 latents and 3 subcodes"),
    "no variations": (lambda: tasks.condition(net(), bits(1), 0), r"variations=0 .*at least 1"),
    "a direction of one class": (lambda: tasks.direction(torch.randn(6, 2), zeros(6)), r"y .*class"),
    "a direction of another width": (lambda: tasks.manipulate(net(), bits(1), ones(3), times, 2),
        r"along has shape \(3,\).*\(2,\)"),
    # data
    "data unknown": (lambda: sets.load("imagenet"), r"data='imagenet' .*digits"),
    "split unknown": (lambda: sets.load("digits", split="valid"), r"split='valid' .*'train', 'test'"),
    "kind unknown": (lambda: sets.load("digits", kind="grey"), r"kind='grey' .*'binary'"),
    "bins of data one": (lambda: sets.load("digits", kind="discretized", bins=1),
        r"bins=1 .*≥ 2|bins=1 .*at least 2"),
    # presets
    "preset unknown": (lambda: settings.preset("mnist"), r"preset='mnist' .*digits"),
    # the configuration
    "lr nan": (config(lr=nan), r"lr=nan .*\[0, 10\]"),
    "lr negative": (config(lr=-1.), r"lr=-1.0 .*\[0, 10\]"),
    "lr inf": (config(lr=inf), r"lr=inf .*\[0, 10\]"),
    "lr a word": (config(lr="1e-4"), r"lr='1e-4' .*float"),
    "steps a float": (config(steps=10.), r"steps=10.0 .*int"),
    "steps zero": (config(steps=0), r"steps=0 .*\[1, "),
    "steps true": (config(steps=True), r"steps=True .*int"),
    "epochs negative": (config(epochs=-1), r"epochs=-1 .*\[0, "),
    "epochs inf": (config(epochs=inf), r"epochs=inf .*finite"),
    "epochs nan": (config(epochs=nan), r"epochs=nan .*\[0, "),
    "batch_size one": (config(batch_size=1), r"batch_size=1 .*\[2, "),
    "batch_size and accumulate": (config(batch_size=10, accumulate=3), r"batch_size=10 .*accumulate=3"),
    "warmup negative": (config(warmup=-1), r"warmup=-1 .*\[0, "),
    "weight_decay inf": (config(weight_decay=inf), r"weight_decay=inf .*finite"),
    "clip nan": (config(clip=nan), r"clip=nan .*\[0, "),
    "ema above one": (config(ema=1.1), r"ema=1.1 .*\[0, 1\]"),
    "gamma of a configuration": (setup(gamma=2.), r"gamma=2 .*≥ 0"),
    "lam of a configuration": (setup(lam=-1.), r"lam=-1 .*≥ 0"),
    "lam of a configuration inf": (setup(lam=inf), r"lam=inf .*finite"),
    "gamma of a configuration minus inf": (setup(gamma=-inf, lam=inf), r"gamma=-inf .*finite"),
    "precision unknown": (config(precision="float16"), r"precision='float16' .*'float32', 'bf16'"),
    "bad_step unknown": (config(bad_step="ignore"), r"bad_step='ignore' .*'stop', 'skip'"),
    "bad_step a list": (config(bad_step=["stop"]), r"bad_step=\['stop'\] .*'stop', 'skip'"),
    "compile a word": (config(compile="yes"), r"compile='yes' .*bool"),
    "seed negative": (config(seed=-1), r"seed=-1 .*\[0, "),
    "keep zero": (config(keep=0), r"keep=0 .*\[1, "),
    "threads zero": (config(threads=0), r"threads=0 .*\[1, "),
    "log_every zero": (config(log_every=0), r"log_every=0 .*\[1, "),
    "save_every negative": (config(save_every=-1), r"save_every=-1 .*\[0, "),
    "a field changed afterwards": (lambda: fit(changes={"lr": nan}), r"lr=nan .*\[0, 10\]"),
    # training
    "no data": (lambda: fit(bits(0)), r"data has 0 examples, .* at least 2"),
    "one datum": (lambda: fit(bits(1)), r"data has 1 examples, .* at least 2"),
    "data of another shape": (lambda: fit(bits(5, 7)), r"data has examples of shape \(7,\), .* \(6,\)"),
    "data of another kind": (lambda: fit(torch.full((5, 6), 255.)),
        r"x has values in \[255, 255\], needs \[0, 1\]"),
    "data with a nan": (lambda: fit(with_(zeros(5, 6), nan)), r"x has values in \[nan, nan\]"),
    "data that are a list": (lambda: fit([[0]*6]*5), r"data is a list, .*needs a tensor"),
    "one example at a time": (lambda: fit(batch_size=4, accumulate=4),
        r"batch_size=4 .*accumulate=4 .*needs 2"),
    "more groups than examples": (lambda: fit(model=net(mmd_groups=4)), r"mmd_groups=4"),
    # metrics, figures
    "folds more than members": (lambda: probes.probe(torch.randn(6, 2), torch.tensor([0, 0, 0, 0, 0, 1])),
        r"folds=5 .*"),
    "a probe of one class": (lambda: probes.probe(torch.randn(20, 2), zeros(20)), r"y .*class"),
    "a probe of other lengths": (lambda: probes.probe(torch.randn(20, 2), zeros(19)), r"z .*20.* y .*19"),
    "a probe of nan": (lambda: probes.probe(with_(torch.randn(20, 2), nan), torch.arange(20) % 2),
        r"z .*nan"),
    "a usage gap of one example": (lambda: usage.usage_gap(net(), bits(1)),
        r"x has .*1.* at least 2|x has shape \(1, 6\)"),
    "a usage gap at no time": (lambda: usage.usage_gap(net(), bits(), times=0), r"times=0 .*at least 1"),
    "one draw": (lambda: samples.conditional_report(net(), None, bits(), zeros(4), draws=1),
        r"draws=1 .*at least 2"),
    "no draws of a bound": (lambda: likelihood.bound_report(net(), bits(), draws=0), r"draws=0 .*at least 1"),
    "an estimate of nothing": (lambda: estimates.estimate(zeros(0)), r"v .*at least 1"),
    "a neighbor among nobody": (lambda: samples.nearest_distance(bits(), bits(0)), r"train .*at least 1"),
    "pictures of records": (lambda: figures.show_grid(zeros(2, 6), 2), r"x has shape \(2, 6\), images need"),
    "pictures of two channels": (lambda: figures.tile(zeros(2, 2, 8, 8), 2),
        r"x has shape \(2, 2, 8, 8\), images need"),
    "no columns": (lambda: figures.tile(zeros(2, 1, 8, 8), 0), r"columns=0 .*at least 1"),
}




@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    "And with a minute of time."
    monkeypatch.chdir(tmp_path)

    def late(signum, frame): raise AssertionError("it hangs")
    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def refused(error, line):
    said = str(error)
    assert "\n" not in said and re.search(line, said), said


@pytest.mark.parametrize("name", API)
def test_bad_input_of_the_api_is_refused_in_one_line(name, tmp_path):
    call, line = API[name]
    with warnings.catch_warnings(), pytest.raises(ValueError) as caught:
        warnings.simplefilter("error")
        call()
    refused(caught.value, line)
    assert not list(tmp_path.iterdir())


# ---- files

def altered(change):
    "Damage: tensors of a model that were changed."
    def damage(model):
        save_file(change(load_file(model/"model.safetensors")), model/"model.safetensors")
    return damage


def said(**changes):
    "Damage: a model's description that was changed."
    def damage(model):
        config = json.loads((model/"config.json").read_text())
        (model/"config.json").write_text(json.dumps(config | changes))
    return damage


def cut(name, size): return lambda folder: os.truncate(folder/name, size)
def put(name, content): return lambda folder: (folder/name).write_bytes(content)
def drop(name): return lambda folder: (folder/name).unlink()


KEY, WEIGHTS = "decoder.down.stem.weight", "model.safetensors"
MODELS = {
    "no folder": shutil.rmtree,
    "an empty folder": lambda model: [path.unlink() for path in model.iterdir()],
    "no weights": drop(WEIGHTS),
    "no description": drop("config.json"),
    "weights cut": cut(WEIGHTS, 3000),
    "weights empty": cut(WEIGHTS, 0),
    "weights pickled": put(WEIGHTS, pickle.dumps({KEY: 0})),
    "description cut": cut("config.json", 40),
    "description a list": put("config.json", b"[]"),
    "description empty": cut("config.json", 0),
    "a key lost": altered(lambda v: {k: v[k] for k in v if k != KEY}),
    "a key too many": altered(lambda v: v | {"extra": ones(1)}),
    "another shape": altered(lambda v: v | {KEY: ones(3, 3)}),
    "another latent_dim": said(latent_dim=5),
    "another flow": said(flow={"kind": "Flow"}),
    "a flow without arguments": said(flow={"kind": "BinaryFlow"}),
    "a shape of words": said(shape=["a"]),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    "An untrained run on the digits."
    run = tmp_path_factory.mktemp("made")/"run"
    torch.manual_seed(0)
    ParamReL(BITS, (1, 8, 8), 2, 4, (1, 2)).save_pretrained(run/"model")
    (run/"data.json").write_text(json.dumps({"name": "digits", "kind": "binary", "bins": None}))
    return run


@pytest.mark.parametrize("name", MODELS)
def test_a_damaged_model_is_refused_in_one_line(made, tmp_path_factory, name):
    model = shutil.copytree(made, tmp_path_factory.mktemp("damaged")/"run")/"model"
    MODELS[name](model)
    with pytest.raises(ValueError) as caught: ParamReL.from_pretrained(model)
    refused(caught.value, re.escape(f"path={str(model)!r} holds no whole ParamReL model: "))
    with pytest.raises((ValueError, FileNotFoundError)) as caught: runs.open_run(model.parent)
    refused(caught.value, re.escape(str(model.parent)))


def idx(n):
    "Bytes of an IDX file that holds fewer images than it says."
    return b"\0\0\x08\x03" + n.to_bytes(4, "big") + (28).to_bytes(4, "big")*2 + bytes(28*28)


def file(name, content):
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_bytes(content)


def array(name, x): np.save(name, x, allow_pickle=True)


RAW = "MNIST/raw/train-images-idx3-ubyte"
DATA = {  # what is put into the folder, what is loaded from it, what the line says
    "no files": (lambda: None, "mnist", r"mnist: no .*root"),
    "no such folder": (lambda: None, "./nowhere", r"\./nowhere"),
    "half a file": (lambda: file(RAW, idx(9)), "mnist", RAW + " is damaged"),
    "an empty file": (lambda: file(RAW, b""), "mnist", RAW + " is damaged"),
    "a file of noise": (lambda: file(RAW, b"abcdefgh"*9), "mnist", RAW + " is damaged"),
    "another packed file": (lambda: file(RAW + ".gz", gzip.compress(idx(1))), "mnist", r"\.gz is damaged"),
    "a folder of nothing": (lambda: Path("pictures").mkdir(), "./pictures", r"pictures"),
    "a folder of no pictures": (lambda: file("pictures/a.png", b"text"), "./pictures", r"pictures/a\.png"),
    "an array of nothing": (lambda: array("a.npy", zeros(0, 8, 8).numpy()), "./a.npy", r"a\.npy.* empty"),
    "an array of objects": (lambda: array("a.npy", np.array([{}, {}])), "./a.npy", r"a\.npy is damaged"),
    "an array that was cut": (lambda: file("a.npy", b"\x93NUMPY\x01\0"), "./a.npy", r"a\.npy is damaged"),
    "an archive of noise": (lambda: file("a.npz", b"PK\3\4 and more"), "./a.npz", r"a\.npz is damaged"),
    "negative grey values": (lambda: array("a.npy", np.full((20, 8, 8), -1)), "./a.npy", r"a\.npy.*-1"),
}


@pytest.mark.parametrize("name", DATA)
def test_a_damaged_data_set_is_refused_in_one_line(name):
    prepare, which, line = DATA[name]
    prepare()
    with pytest.raises((ValueError, FileNotFoundError)) as caught: sets.load(which, root=".")
    refused(caught.value, line)


# ---- the command

MISSING = {
    "no run": ([], r"RUN"),
    "a run that is not there": (["nowhere"], r"run='nowhere' holds no trained model"),
}
SAME = MISSING | {
    "seed negative": (["RUN", "--seed=-1"], r"--seed=-1 needs"),
    "steps zero": (["RUN", "--steps", "0"], r"--steps=0 needs"),
}
COMMAND = {
    "generate": SAME | {
        "a folder that is no run": (["."], r"run='\.' holds no trained model"),
        "one run too many": (["RUN", "RUN"], r"RUN"),
        "an option unknown": (["RUN", "--colour", "red"], r"--colour"),
        "an option without value": (["RUN", "--seed"], r"--seed"),
        "seed a word": (["RUN", "--seed", "one"], r"--seed.*one"),
        "seed too large": (["RUN", "--seed", "9"*30], r"--seed=9+ needs"),
        "steps negative": (["RUN", "--steps=-5"], r"--steps=-5 needs"),
        "steps nan": (["RUN", "--steps", "nan"], r"--steps.*nan"),
        "steps a fraction": (["RUN", "--steps", "1.5"], r"--steps.*1\.5"),
        "n zero": (["RUN", "--n", "0"], r"--n=0 needs"),
        "z unknown": (["RUN", "--z", "posterior"], r"posterior"),
        "z without data": (["RUN/model", "--z", "latent-flow"], r"z='latent-flow' needs .*data\.json"),
        "sampler unknown": (["RUN", "--sampler", "ddim"], r"ddim"),
        "out in a file": (["RUN", "--steps=1", "--n=1", "--out", "RUN/data.json/a.png"], r"RUN/data\.json")},
    "reconstruct": SAME | {
        "no such picture": (["RUN", "--input", "a.png"], r"--input: no file 'a\.png'"),
        "no picture": (["RUN", "--input", "RUN/data.json"], r"--input: 'RUN/data\.json' is not an image")},
    "condition": SAME | {
        "variations zero": (["RUN", "--variations", "0"], r"--variations=0 needs")},
    "timevary": SAME | {
        "a time above one": (["RUN", "--times", ".5", "1.5"], r"t .*1\.5"),
        "times falling": (["RUN", "--times", ".5", ".2"], r"0\.5.*0\.2.*increasing"),
        "a time nan": (["RUN", "--times", "nan"], r"t.*nan"),
        "a time a word": (["RUN", "--times", "now"], r"--times.*now")},
    "interpolate": SAME | {
        "one point": (["RUN", "--points", "1"], r"points=1 needs"),
        "move unknown": (["RUN", "--move", "x"], r"--move|'x'")},
    "traverse": SAME | {
        "a latent too far": (["RUN", "--dims", "2"], r"dims=\[2\].*latent_dim=2"),
        "a latent below zero": (["RUN", "--dims=-3"], r"dims=\[-3\]"),
        "reach nan": (["RUN", "--reach", "nan"], r"--reach=nan needs"),
        "reach inf": (["RUN", "--reach", "inf"], r"--reach=inf needs")},
    "manipulate": {
        "no run": ([], r"RUN"),
        "no label": (["RUN"], r"LABEL|label"),
        "a label unknown": (["RUN", "17"], r"label=17 is no class of digits"),
        "a label that is a word": (["RUN", "seven"], r"seven"),
        "seed negative": (["RUN", "7", "--seed=-1"], r"--seed=-1 needs"),
        "points zero": (["RUN", "7", "--points", "0"], r"--points=0 needs")},
    "encode": MISSING | {
        "seed negative": (["RUN", "--seed=-1"], r"--seed=-1 needs"),
        "split unknown": (["RUN", "--split", "valid"], r"--split|valid"),
        "times falling": (["RUN", "--times", ".5", ".2"], r"0\.5.*0\.2.*increasing")},
    "quickstart": {
        "steps zero": (["--steps", "0"], r"--steps=0 needs"),
        "steps a fraction": (["--steps", "1.5"], r"--steps.*1\.5"),
        "seed too large": (["--seed", str(2**40)], r"--seed=1099511627776 needs"),
        "latent_dim zero": (["--latent-dim", "0"], r"--latent-dim=0 needs"),
        "reads unknown": (["--reads", "behind"], r"--reads|behind"),
        "an argument": (["here"], r"here"),
        "out a file": (["--out", "RUN/data.json", "--steps", "1"], r"out=RUN/data\.json")},
    "train": {
        "a start unknown": (["imagenet"], r"start='imagenet' needs to be one of digits"),
        "a folder that is no run": (["RUN"], r"start='RUN' needs to be one of digits"),
        "an option unknown": (["digits", "--colour", "red"], r"--colour"),
        "data unknown": (["digits", "--data", "imagenet"], r"data='imagenet' needs"),
        "data that are not there": (["bmnist", "--root", "."], r"mnist: no .*root"),
        "lr nan": (["digits", "--lr", "nan"], r"lr=nan needs"),
        "lr negative": (["digits", "--lr=-1"], r"lr=-1.* needs"),
        "lr a word": (["digits", "--lr", "fast"], r"--lr.*fast"),
        "steps zero": (["digits", "--steps", "0"], r"steps=0 needs"),
        "epochs inf": (["digits", "--steps", "None", "--epochs", "inf"], r"epochs=inf needs"),
        "gamma and lam": (["digits", "--gamma", ".5", "--lam", ".1"], r"gamma=0\.5 and lam=0\.1"),
        "lam inf": (["digits", "--lam", "inf"], r"lam=inf.* finite"),
        "batch_size one": (["digits", "--batch-size", "1"], r"batch_size=1 needs"),
        "accumulate": (["digits", "--accumulate", "3"], r"batch_size=128 .*accumulate=3"),
        "reads unknown": (["digits", "--reads", "behind"], r"--reads|behind"),
        "sigma1 for bits": (["digits", "--sigma1", ".1"], r"sigma1=0\.1 has no meaning for BinaryFlow"),
        "beta1 zero": (["digits", "--beta1", "0"], r"beta1=0.* needs"),
        "bins for bits": (["digits", "--bins", "1"], r"bins=1 needs"),
        "kind unknown": (["digits", "--kind", "grey"], r"--kind|grey"),
        "mult zero": (["digits", "--mult", "1", "0"], r"mult=\(1, 0\) needs"),
        "channels zero": (["digits", "--channels", "0"], r"channels=0 needs"),
        "latent_dim zero": (["digits", "--latent-dim", "0"], r"latent_dim=0 needs"),
        "dropout one": (["digits", "--dropout", "1"], r"dropout=1.* needs"),
        "out a file": (["digits", "--out", "RUN/data.json"], r"out=\S*RUN/data\.json")},
    "evaluate": MISSING | {
        "n zero": (["RUN", "--n", "0"], r"--n=0 needs"),
        "seed negative": (["RUN", "--seed=-1"], r"--seed=-1 needs"),
        "root without data": (["BARE", "--root", "."], r"mnist: no .*root")},
    "report": {
        "no run": ([], r"RUN"),
        "a run that is not there": (["nowhere"], r"run='nowhere' holds no run"),
        "a run that was not trained": (["RUN"], r"run='RUN' holds no run")},
    "data": {
        "no name": ([], r"NAME"),
        "a name unknown": (["imagenet"], r"data='imagenet' needs to be one of"),
        "bins one": (["digits", "--bins", "1"], r"bins=1 needs"),
        "kind unknown": (["digits", "--kind", "grey"], r"grey"),
        "split unknown": (["digits", "--split", "half"], r"split='half' needs"),
        "size zero": (["digits", "--size", "0"], r"size=0 needs")},
    "presets": {"an argument": (["digits"], r"digits")},
}
LINES = [(command, name) for command in COMMAND for name in COMMAND[command]]


@pytest.mark.parametrize("command, name", LINES, ids=[f"{c}: {n}" for c, n in LINES])
def test_a_bad_command_is_one_line_and_status_2_and_leaves_nothing(made, tmp_path, capfd, command, name):
    args, line = COMMAND[command][name]
    shutil.copytree(made, "RUN")
    shutil.copytree(made, "BARE")
    Path("BARE/data.json").write_text(json.dumps({"name": "mnist", "kind": "binary", "bins": None}))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SystemExit) as ended: main([command, *args])
    out, err = capfd.readouterr()
    assert ended.value.code == 2 and out == "" and err.count("\n") == 1 and err.startswith("paramrel: "), err
    assert re.search(line, err), err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_command_as_users_type_it():
    run = "from paramrel.apps.cli import main; main()"
    args = [sys.executable, "-c", run, "generate", "nowhere", "--n=-1"]
    done = subprocess.run(args, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "paramrel: --n=-1 needs to be positive\n")
