# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Builders and resolvers: how programs store types of their own."""

import numpy as np
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
