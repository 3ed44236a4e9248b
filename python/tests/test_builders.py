# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Builders, resolvers and drivers: how programs store types of their own."""

import asyncio
import contextvars
import threading

import numpy as np
import pandas as pd
import pytest
import vineyard


class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y


def test_programs_store_types_of_their_own(client):
    def build(client, value, **kwargs):
        meta = vineyard.ObjectMeta()
        meta["typename"] = "test::Point<int>"
        meta["x_"], meta["y_"] = value.x, value.y
        return meta

    def resolve(obj):
        return Point(obj.meta["x_"], obj.meta["y_"])

    def never(obj, resolver):
        raise AssertionError

    with (
        vineyard.builder_context({Point: build}),
        vineyard.resolver_context({"test::Point": resolve, "test::": never}),
    ):
        ref = client.put(Point(1, 2))
        back = client.get(ref)
        assert (type(back), back.x, back.y) == (Point, 1, 2)
        assert client.get(client.put(5)) == 5
    assert type(client.get(ref)) is vineyard.Object
    client.delete(ref)


def test_a_resolver_that_fails_is_not_taken_for_damage(client):
    def fail(obj):
        raise ZeroDivisionError("of the resolver")

    part = client.put(np.zeros(3))
    ref = client.put({"deep": [(part,)]})
    with (
        vineyard.resolver_context({"vineyard::Tensor": fail}),
        pytest.raises(ZeroDivisionError, match="of the resolver"),
    ):
        client.get(ref)
    client.delete(ref)


def test_a_builder_or_resolver_of_one_call_need_not_take_keywords(client):
    ref = client.put(Point(1, 2), builder=lambda client, point: client.put((point.x, point.y)))
    assert client.get(ref) == (1, 2)
    assert client.get(ref, resolver=lambda obj: obj.typename) == "vineyard::Sequence"
    assert client.get(ref, resolver=lambda obj, scale: scale, scale=3) == 3
    with pytest.raises(TypeError, match="colour"):
        client.get(ref, resolver=lambda obj: obj, colour="red")
    client.delete(ref)


def _describe(client, point):
    meta = vineyard.ObjectMeta()
    meta["typename"], meta["x_"] = "test::Point", point.x
    meta["y_"] = client.put(point.y)
    return meta


def _store(client, point):
    ref = client.create_metadata(_describe(client, point)).id
    client.label(ref, "made by", "a builder")
    return ref


@pytest.mark.parametrize("build", [_describe, _store, lambda c, p: c.put([p.x, p.y])])
def test_a_name_owns_what_a_builder_makes(own_client, build):
    for y in (np.zeros(100), np.zeros(10_000), np.zeros(1_000_000)):
        first = own_client.put(Point(1, y), builder=build, name="x")
        assert own_client.get_name("x") == first
        objects = own_client.status.objects
        second = own_client.put(Point(1, y + 1), builder=build, name="x")
        assert not own_client.exists(first)
        assert own_client.status.objects == objects
        own_client.get(name="x")
        with pytest.raises(vineyard.ConflictException):
            own_client.put(Point(1, y), builder=build, name="x", if_version=1)
        assert own_client.get_name("x") == second
        if build is _store:
            assert own_client.labels(second) == {"made by": "a builder"}
        own_client.drop_name("x")
        own_client.clear()  # what a builder left when its name was refused
        assert own_client.status.memory_usage == 0


def test_a_name_only_refers_to_what_a_builder_found(client, name):
    ref = client.put("old")
    assert client.put(1, builder=lambda client, value: ref, name=name) == ref
    client.drop_name(name)
    assert client.get(ref) == "old"
    client.delete(ref)


def test_a_builder_must_say_what_it_stored(client):
    with pytest.raises(TypeError, match=r"Point.* returned None"):
        client.put(Point(1, 2), builder=lambda client, value: None)


def test_unknown_keyword_arguments_are_refused(client):
    with pytest.raises(TypeError, match="colour"):
        client.put(1, colour="red")
    with pytest.raises(TypeError, match="colour"):
        client.get(client.put(1), colour="red")


# ---- parts of values, by the contexts that builders and resolvers are given


class Segment:
    def __init__(self, start, end, note):
        self.start, self.end, self.note = start, end, note


def _build_point(client, value):
    meta = vineyard.ObjectMeta()
    meta["typename"], meta["x_"], meta["y_"] = "test::Point", value.x, value.y
    return client.create_metadata(meta)


def _build_segment(client, value, builder, **kwargs):
    meta = vineyard.ObjectMeta()
    meta["typename"] = "test::Segment"
    meta.add_member("start_", builder.run(client, value.start, **kwargs))
    meta.add_member("end_", builder(client, value.end, colour="red"))
    meta["note_"] = builder.run(client, value.note)
    return client.create_metadata(meta)


def _resolve_point(obj):
    return Point(obj.meta["x_"], obj.meta["y_"])


def _resolve_segment(obj, resolver):
    start = resolver.run(obj.member("start_"), scale=3)  # which that resolver does not take
    return Segment(start, resolver(obj.member("end_")), resolver.run(obj["note_"]))


def test_builders_and_resolvers_pass_parts_on(own_client):
    builders = {Point: _build_point, Segment: _build_segment}
    resolvers = {"test::Point": _resolve_point, "test::Segment": _resolve_segment}
    with vineyard.core.context(builders, resolvers):
        ref = own_client.put(Segment(Point(1, 2), Point(3, 4), {"a": np.arange(3)}))
        back = own_client.get(ref)
        assert (back.start.x, back.start.y, back.end.x, back.end.y) == (1, 2, 3, 4)
        assert np.array_equal(back.note["a"], np.arange(3))
    assert own_client.get_meta(ref)["start_"].typename == "test::Point"
    own_client.delete(ref)
    assert own_client.status.objects == 0


def test_resolvers_get_blobs_as_memoryviews(own_client):
    builder = own_client.create_blob(5)
    builder.copy(0, b"hello")
    meta = vineyard.ObjectMeta()
    meta["typename"], meta["buffer_"] = "test::Text", builder.seal(own_client)
    ref = own_client.create_metadata(meta).id

    def resolve(obj, resolver, scale=1):
        return bytes(resolver.run(obj.member("buffer_"))) * scale

    with vineyard.resolver_context({"test::Text": resolve}):
        assert own_client.get(ref) == b"hello"
        assert own_client.get(ref, scale=2) == b"hellohello"


def test_a_resolver_may_take_over_a_type_that_has_a_codec(own_client):
    ref = own_client.put((1, 2, 3, 4))
    assert own_client.get(ref) == (1, 2, 3, 4)
    with vineyard.core.resolver.resolver_context() as resolvers:
        resolvers.register("vineyard::Sequence", lambda obj, resolver: "other")
        assert own_client.get(ref) == "other"
    assert own_client.get(ref) == (1, 2, 3, 4)


def test_names_of_blobs_are_got_beside_registered_resolvers(own_client):
    builder = own_client.create_blob(5)
    builder.copy(0, b"hello")
    own_client.put_name(builder.seal(own_client), "blob")
    with vineyard.resolver_context({"test::": _resolve_point}):
        assert bytes(own_client.get(name="blob")) == b"hello"


def test_parts_of_any_value_are_stored_by_their_builders(own_client, name):
    value = {"route": [Point(1, 2), (Point(3, 4), np.arange(3))], "note": "text"}
    for build in (_build_point, _describe, lambda c, p: c.put([p.x, p.y])):
        with vineyard.builder_context({Point: build}):
            ref = own_client.put(value, name=name, global_=False)
        assert own_client.get_meta(ref).typename == "vineyard::Dict"
        if build is _build_point:
            with vineyard.resolver_context({"test::Point": _resolve_point}):
                back = own_client.get(name=name)
            assert (back["route"][0].y, back["route"][1][0].x, back["note"]) == (2, 3, "text")
        own_client.drop_name(name)
        assert own_client.status.objects == 0


def test_one_part_met_twice_is_stored_once(own_client):
    point = Point(1, 2)
    with vineyard.builder_context({Point: _build_point}):
        ref = own_client.put([point, point])
    with vineyard.resolver_context({"test::Point": _resolve_point}):
        first, second = own_client.get(ref)
    assert first is second
    assert own_client.status.objects == 2


def test_a_failing_put_takes_the_parts_away_that_builders_stored(own_client):
    def fail(client, value):
        raise ZeroDivisionError("of the builder")

    with vineyard.builder_context({Point: _build_segment_of, Segment: fail}):
        with pytest.raises(ZeroDivisionError):
            own_client.put([Point(1, 2), Point(3, 4), Segment(1, 2, 3)])
        with pytest.raises(TypeError):
            own_client.put([Point(1, 2), lambda: None])
        with pytest.raises(vineyard.ConflictException):
            own_client.put([Point(1, 2)], name="x", if_version=5)
    assert own_client.status.objects == 0


def test_many_values_are_stored_by_their_builders(own_client):
    with vineyard.builder_context({Point: _build_point}):
        refs = own_client.put_many([Point(1, 2), 5, [Point(3, 4)]])
        assert own_client.get_many(refs[1:2]) == [5]
        with vineyard.resolver_context({"test::Point": _resolve_point}):
            first, five, (second,) = own_client.get_many(refs)
        assert (first.x, five, second.x) == (1, 5, 3)
        own_client.delete(refs)
        with pytest.raises(TypeError):
            own_client.put_many([Point(1, 2), 5, lambda: None])
    assert own_client.status.objects == 0


def _build_segment_of(client, value):
    meta = vineyard.ObjectMeta()
    meta["typename"] = "test::Segment"
    meta["x_"], meta["y_"] = client.put(value.x), client.put(value.y)
    return client.create_metadata(meta)


# ---- drivers


def test_drivers_give_values_methods(own_client):
    ref = own_client.put(Point(3, 4), builder=_build_point)
    frame = own_client.put(pd.DataFrame({"a": [1, 2]}))
    array = own_client.put(np.zeros(3))

    def norm(point, power=2):
        return (point.x**power + point.y**power) ** (1 / power)

    drivers = {
        "test::": {"norm": lambda point: "never"},
        "test::Point": {"norm": norm},
        "vineyard::": {"rows": len},
    }
    with (
        vineyard.resolver_context({"test::Point": _resolve_point}),
        vineyard.driver_context(drivers) as current,
    ):
        assert own_client.get(ref).norm() == 5
        assert own_client.get(ref).norm(1) == 7
        assert np.array_equal(own_client.get(array), np.zeros(3))  # takes no attributes
        current.register("vineyard::DataFrame", "rows", lambda f: f"{len(f)} rows")
        assert own_client.get(frame).rows() == "2 rows"
    assert not hasattr(own_client.get(frame), "rows")


def test_registering_nothing_is_needed_for_builtin_types(own_client):
    from vineyard.core import default_builder_context, default_resolver_context
    from vineyard.data import register_builtin_types

    register_builtin_types(default_builder_context, default_resolver_context)
    assert own_client.get(own_client.put((1, "2"))) == (1, "2")


# ---- whose contexts they are


def _resolve_to(text):
    return vineyard.resolver_context({"vineyard::Scalar": lambda obj: text})


def test_tasks_have_contexts_of_their_own(own_client):
    ref = own_client.put(5)

    async def task(text, entered, other):
        with _resolve_to(text):
            entered.set()
            await other.wait()
            return own_client.get(ref)

    async def both():
        a, b = asyncio.Event(), asyncio.Event()
        return await asyncio.gather(task("a", a, b), task("b", b, a))

    assert asyncio.run(both()) == ["a", "b"]
    assert own_client.get(ref) == 5


def test_a_task_inherits_what_was_open_where_it_was_made(own_client):
    ref = own_client.put(5)

    async def get():
        return own_client.get(ref)

    async def outer():
        with _resolve_to("outer"):
            made = asyncio.ensure_future(get())
        return await made, own_client.get(ref)

    assert asyncio.run(outer()) == ("outer", 5)


def test_threads_have_contexts_of_their_own(own_client):
    ref = own_client.put(5)
    seen = []
    with _resolve_to("here"):
        thread = threading.Thread(target=lambda: seen.append(own_client.get(ref)))
        thread.start()
        thread.join()
        assert own_client.get(ref) == "here"
    assert seen == [5]


def test_contexts_may_end_in_another_order_than_they_began(own_client):
    ref = own_client.put(5)
    first, second = _resolve_to("first"), _resolve_to("second")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert own_client.get(ref) == "second"
    second.__exit__(None, None, None)
    assert own_client.get(ref) == 5


def test_a_context_may_end_in_another_task_than_it_began_in(own_client):
    ref = own_client.put(5)
    opened = _resolve_to("there")
    contextvars.copy_context().run(opened.__enter__)
    opened.__exit__(None, None, None)
    assert own_client.get(ref) == 5


def test_contexts_lie_in_one_another(own_client):
    ref = own_client.put(5)
    with _resolve_to("outer"):
        with _resolve_to("inner"), vineyard.builder_context({Point: _build_point}):
            assert own_client.get(ref) == "inner"
            own_client.put(Point(1, 2))
        assert own_client.get(ref) == "outer"
    base = vineyard.core.resolver.ResolverContext()
    with _resolve_to("outer"), vineyard.resolver_context(base=base):
        assert own_client.get(ref) == 5
