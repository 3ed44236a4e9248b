# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""One process waits for a name that another puts later; datasets and arrays behind small classes."""

import subprocess
import sys

import numpy as np
import pandas as pd
import vineyard


class Dataset:
    """Loads and saves a value under a name, as plug-ins of pipelines do."""

    def __init__(self, name, socket=None):
        self.name, self.socket, self._client = name, socket, None

    @property
    def client(self):
        if self._client is None:
            self._client = vineyard.connect(self.socket)
        return self._client

    def load(self):
        return self.client.get(name=self.name, fetch=True)

    def save(self, value):
        self.release()
        self.client.put(value, name=self.name, persist=True)

    def exists(self):
        try:
            return self.client.exists(self.client.get_name(self.name))
        except vineyard.ObjectNotExistsException:
            return False

    def release(self):
        try:
            ref = self.client.get_name(self.name)
        except vineyard.ObjectNotExistsException:
            return
        self.client.delete(ref)
        self.client.drop_name(self.name)


def child():
    client = vineyard.connect()
    question = client.get(client.get_name("question", wait=True))
    client.put(question["x"].to_numpy() * 2, name="answer", persist=True)
    client.put_name(client.put(sys.argv[1]), "who")


def parent():
    client = vineyard.connect()
    process = subprocess.Popen([sys.executable, __file__, "child"])
    frame = pd.DataFrame({"x": np.arange(50_000.0)})
    ref = client.put(frame)
    client.persist(ref)
    client.put_name(ref, "question")
    assert client.get(name="answer", wait=True)[-1] == 2 * 49_999
    assert client.get(client.get_name("who", True)) == "child"
    assert process.wait() == 0
    names = client.list_names("*", limit=10)
    assert names["question"] == ref
    assert set(client.list_names("^(wh|ans)", regex=True)) == {"who", "answer"}
    for name in names:
        client.drop_name(name)
    client.drop_name("never")  # was no error, and is none
    assert client.list_names("*") == {}

    data = Dataset("data")
    assert not data.exists()
    data.save(frame)
    data.save(frame[:10])
    assert data.exists()
    assert data.load().equals(frame[:10])
    data.release()
    assert not data.exists()

    vineyard.put((1, 1.2345, "text"), persist=True, name="unit")
    assert vineyard.get(name="unit", fetch=True) == (1, 1.2345, "text")
    # References travel as text.
    text = repr(vineyard.put(frame))
    assert vineyard.get(vineyard.ObjectID(text)).equals(frame)
    assert vineyard.get(text).equals(frame)
    assert vineyard.ObjectName.from_uri(vineyard.ObjectName("unit").uri) == "unit"


if __name__ == "__main__":
    child() if len(sys.argv) > 1 else parent()
