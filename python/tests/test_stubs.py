# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The stubs of the C++ part say what is there: every name, parameter, default and plain type.

`mypy.stubtest` knows no functions of nanobind, which tell their signatures themselves.
"""

import ast
import re
from pathlib import Path

import pytest
import vineyard
from vineyard import _core

STUB = ast.parse((Path(vineyard.__file__).parent / "_core.pyi").read_text())
CLASSES = {n.name: n for n in STUB.body if isinstance(n, ast.ClassDef)}
#: What every class has, or what is a slot of the type and no function of nanobind's.
BY_NATURE = {
    *("__buffer__", "__module__", "__new__", "__doc__", "__weakref__", "__hash__", "__reduce__"),
    *("__repr__", "__str__", "__init__"),
}
#: Types that nanobind writes as Python does; it does not know better for others.
PLAIN = re.compile(r"(int|str|bool|float|None|ObjectID|Blob|[A-Z]\w*(Info|Status|Builder|Bytes))")


def functions_of(body):
    """name -> its definitions, of which overloads have several."""
    found = {}
    for node in body:
        if isinstance(node, ast.FunctionDef):
            found.setdefault(node.name, []).append(node)
    return found


def decorators(definition):
    return {d.id for d in definition.decorator_list if isinstance(d, ast.Name)}


def real_functions(owner):
    """name -> what nanobind says of it."""
    return {
        name: [_parsed(text, defaults) for text, _, defaults in value.__nb_signature__]
        for name, value in vars(owner).items()
        if type(value).__name__ in ("nb_func", "nb_method")
    }


def _parsed(text, defaults):
    """The definition that a signature is, with its defaults put in."""
    text = re.sub(r"\\(\d+)", lambda m: repr(defaults[int(m[1])]), text)
    return ast.parse(text.replace("vineyard._core.", "") + ": ...").body[0]


def parameters(definition):
    args = definition.args
    assert not (args.kwonlyargs or args.vararg or args.kwarg)
    plain = [*args.posonlyargs, *args.args]
    defaults = [None] * (len(plain) - len(args.defaults)) + [ast.unparse(d) for d in args.defaults]
    return [(a.arg, d) for a, d in zip(plain, defaults, strict=True)]


def plain_types(definition):
    """Parameter, or "return" -> type, where that is a plain one."""
    args = [*definition.args.posonlyargs, *definition.args.args]
    types = {a.arg: a.annotation for a in args} | {"return": definition.returns}
    texts = {name: ast.unparse(t) for name, t in types.items() if t is not None}
    return {n: t for n, t in texts.items() if all(map(PLAIN.fullmatch, t.split(" | ")))}


def assert_same(where, stubs, real):
    assert len(stubs) == len(real), f"{where}: overloads"
    for stub, there in zip(stubs, real, strict=True):
        if stub.name.startswith("__"):  # called with positions alone
            assert len(parameters(stub)) == len(parameters(there)), where
        else:
            assert parameters(stub) == parameters(there), where
        known = plain_types(there)
        said = plain_types(stub)
        for name in known.keys() & said.keys() if not stub.name.startswith("__") else ():
            assert set(said[name].split(" | ")) == set(known[name].split(" | ")), f"{where}: {name}"


def test_there_is_nothing_more_and_nothing_less():
    there = {n for n in dir(_core) if not n.startswith("_")}
    assert there == set(CLASSES) | set(functions_of(STUB.body))


def test_functions_are_as_the_stubs_say():
    stubs, real = functions_of(STUB.body), real_functions(_core)
    assert stubs.keys() == real.keys()
    for name in stubs:
        assert_same(name, stubs[name], real[name])


@pytest.mark.parametrize("name", CLASSES)
def test_classes_are_as_the_stubs_say(name):
    cls = getattr(_core, name)
    stubs = functions_of(CLASSES[name].body)
    properties = {n for n, defs in stubs.items() if "property" in decorators(defs[0])}
    assert properties == {n for n, v in vars(cls).items() if isinstance(v, property)}
    real = real_functions(cls)
    methods = stubs.keys() - properties
    assert methods - BY_NATURE == real.keys() - BY_NATURE
    for method in methods & real.keys():
        definitions = stubs[method]
        assert_same(f"{name}.{method}", definitions, real[method])
        is_static = type(vars(cls)[method]).__name__ == "nb_func"
        assert ("staticmethod" in decorators(definitions[0])) == is_static
    for method in methods - real.keys():
        assert hasattr(cls, method) or method == "__buffer__", method


def test_properties_have_the_types_that_the_stubs_say(client):
    """Of one object of each class."""
    builder = client.create_blob(10)
    ref = client.put([1], name="stubs")
    core = client._core
    objects = [builder, core, core.get_info(ref), core.get_name("stubs"), core.status()]
    objects.append(core.make_allocator(1 << 20, 0))
    blob = builder.seal(client)
    objects += [core.list_volumes()[0], ref, blob, blob.private(), core.allocate(10)]
    core.create_stream(ref)
    writer, reader = core.open_stream_writer(ref), core.open_stream_reader(ref)
    objects += [writer, reader, core.get_stream(ref), core.places(ref)]
    seen = set()
    for one in objects:
        seen.add(type(one).__name__)
        for name, (definition, *_) in functions_of(
            CLASSES.get(type(one).__name__, STUB).body
        ).items():
            if "property" in decorators(definition) and type(one).__name__ in CLASSES:
                if name == "address" and isinstance(one, _core.BlobBuilder):
                    continue  # it has none any more
                parts = ast.unparse(definition.returns).split(" | ")
                said = [part.partition("[")[0].replace("None", "NoneType") for part in parts]
                assert type(getattr(one, name)).__name__ in said, (one, name)
    client.drop_name("stubs")
    client.delete(blob.id)
    assert seen == CLASSES.keys()


def test_the_package_says_that_it_is_typed():
    assert (Path(vineyard.__file__).parent / "py.typed").is_file()
