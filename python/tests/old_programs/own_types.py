# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Stores a class of its own: builders, resolvers, their contexts, and options that reach them."""

import numpy as np
import vineyard
from vineyard.core import context, default_builder_context, default_resolver_context
from vineyard.core.builder import builder_context
from vineyard.core.resolver import resolver_context
from vineyard.data import register_builtin_types
from vineyard.data.utils import build_numpy_buffer, from_json, normalize_dtype, to_json

register_builtin_types(default_builder_context, default_resolver_context)


class Signal:
    def __init__(self, rate, samples):
        self.rate = rate
        self.samples = samples


class Recording:
    def __init__(self, title, left, right):
        self.title, self.left, self.right = title, left, right


def signal_builder(client, value, **kwargs):
    meta = vineyard.ObjectMeta()
    meta["typename"] = f"audio::Signal<{value.samples.dtype.name}>"
    meta["rate_"] = value.rate
    meta["shape_"] = to_json(value.samples.shape)
    meta["value_type_"] = value.samples.dtype.name
    meta["gain_"] = kwargs.get("gain", 1.0)
    meta["nbytes"] = value.samples.nbytes
    meta.add_member("buffer_", build_numpy_buffer(client, value.samples))
    return client.create_metadata(meta)


def signal_resolver(obj):
    meta = obj.meta
    dtype = normalize_dtype(meta["value_type_"])
    samples = np.frombuffer(memoryview(obj.member("buffer_")), dtype=dtype)
    return Signal(int(meta["rate_"]), samples.reshape(from_json(meta["shape_"])))


def recording_builder(client, value, builder, **kwargs):
    meta = vineyard.ObjectMeta()
    meta.typename = "audio::Recording"
    meta.add_member("left_", builder.run(client, value.left, **kwargs))
    meta.add_member("right_", builder.run(client, value.right, **kwargs))
    meta.add_member("title_", builder.run(client, value.title))
    return client.create_metadata(meta).id


def recording_resolver(obj, resolver, **kwargs):
    title, left = resolver.run(obj.member("title_")), resolver.run(obj.member("left_"))
    right = resolver.run(obj.member("right_"))
    if kwargs.get("mono"):
        left = right = Signal(left.rate, (left.samples + right.samples) / 2)
    return Recording(title, left, right)


def refusing_resolver(obj):
    raise ValueError("not this one")


client = vineyard.connect()
one = Signal(8000, np.arange(50_000, dtype="float32").reshape(2, -1))
two = Signal(8000, np.ones((2, 25_000), dtype="float32"))

with context() as (builders, resolvers):
    builders.register(Signal, signal_builder)
    builders.register(Recording, recording_builder)
    resolvers.register("audio::Signal", signal_resolver)
    resolvers.register("audio::Recording", recording_resolver)

    ref = client.put(one, gain=0.5)
    meta = client.get_meta(ref)
    assert meta.typename == "audio::Signal<float32>"
    assert meta["gain_"] == 0.5
    assert meta.nbytes == one.samples.nbytes
    assert "buffer_" in meta
    back = client.get(ref)
    assert isinstance(back, Signal)
    assert (back.samples == one.samples).all()

    both = client.put(Recording("birds", one, two))
    back = client.get(both)
    assert (back.title, back.left.rate) == ("birds", 8000)
    assert (back.right.samples == two.samples).all()
    mono = client.get(both, mono=True)
    assert mono.left is mono.right

    # The innermost context decides, and only as long as it is open.
    with resolver_context({"audio::Signal<float32>": refusing_resolver}):
        try:
            client.get(ref)
        except ValueError as error:
            assert "not this one" in str(error)
        else:
            raise AssertionError("the longest prefix was not taken")
    assert isinstance(client.get(ref), Signal)
    assert isinstance(client.get(ref, resolver=lambda obj: obj.meta["rate_"]), int)

# Out of the contexts the object is what it is.
assert client.get(ref).typename == "audio::Signal<float32>"
with builder_context({Signal: signal_builder}) as builders:
    assert vineyard.core.builder.get_current_builders() is builders
    other = vineyard.put(two)
default_resolver_context.register("audio::Signal", signal_resolver)
assert (vineyard.get(other).samples == 1).all()
# A resolver for values of this package asks for the value with a context of no resolvers.
frame_like = client.put(np.arange(3))


def doubling_resolver(obj):
    with resolver_context(base=vineyard.core.ResolverContext()):
        return obj.meta.client.get(obj.id) * 2


with resolver_context({"vineyard::Tensor": doubling_resolver}):
    assert client.get(frame_like).tolist() == [0, 2, 4]
