# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""One request, followed from the program that asks to the instance that answers."""

import json
import os
import re

import pytest
import vineyard

PROGRAM = """
    import sys
    import vineyard
    with vineyard.connect(sys.argv[1]) as client:
        client.put(1, name=sys.argv[2])
        try:
            client.put(2, name=sys.argv[2], if_version=77)
        except vineyard.ConflictException:
            pass
        if len(sys.argv) > 3:
            import os
            child = os.fork()
            client.drop_name(sys.argv[2]) if child else client.status
            if child:
                assert os.waitpid(child, 0)[1] == 0
            else:
                os._exit(0)
    """


def _lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def _engine(client):
    """What the instance remembers: (client, request) -> it."""
    found, page = {}, client.trace()
    while True:
        found |= {(request.client, request.request_id): request for request in page.requests}
        if not page.more:
            return found
        page = client.trace(page.last)


def test_both_sides_know_a_request_by_the_same_number(own_client, python, tmp_path):
    trace = tmp_path / "trace.jsonl"
    python(PROGRAM, own_client.ipc_socket, "traced", VINEYARD_TRACE=str(trace))
    lines = _lines(trace)
    engine = _engine(own_client)
    assert [line["result"] for line in lines if line["request"] == "Put"] == ["ok", "conflict"]
    assert {line["pid"] for line in lines} != {os.getpid()}
    for line in lines:
        there = engine[line["client"], line["request_id"]]
        assert (there.kind, there.status) == (line["request"], line["result"])
        assert there.pid == line["pid"]
        assert there.took <= (line["took_us"] + 1) / 1e6, "the engine's part of it"
        assert line["begun_unix_ns"] <= there.begun_unix_ns + 10**9


def test_programs_and_their_children_share_a_file(own_client, python, tmp_path):
    trace = tmp_path / "trace.jsonl"
    for name in ("first", "second"):
        python(PROGRAM, own_client.ipc_socket, name, "fork", VINEYARD_TRACE=str(trace))
    lines = _lines(trace)
    assert [line["request"] for line in lines].count("DropName") == 2
    assert len({line["pid"] for line in lines}) == 4
    assert len({(line["client"], line["request_id"]) for line in lines}) == len(lines)


def test_without_the_variable_nothing_is_written(own_client, python, tmp_path):
    python(PROGRAM, own_client.ipc_socket, "traced", VINEYARD_TRACE="", cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_can_not_be_written_is_an_error(own_client, python, tmp_path):
    path = tmp_path / "missing" / "trace.jsonl"
    done = python(PROGRAM, own_client.ipc_socket, "traced", check=False, VINEYARD_TRACE=str(path))
    assert done.returncode != 0
    assert f"VINEYARD_TRACE: '{path}' can't be written: No such file or directory" in done.stderr


def test_who_has_waited_too_long_is_told_which_request_it_was(own_client):
    with pytest.raises(vineyard.TimeoutException) as raised:
        own_client.get(name="nobody puts it", wait=True, timeout=0.05)
    named = re.search(r"request (\d+)#(\d+)", str(raised.value))
    if named is None:  # the instance itself was the first to give up
        assert any(request.status == "deadline exceeded" for request in own_client.trace().requests)
    else:
        assert int(named[1]) == own_client.clients()[0].number
