# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Lists what is stored, labels it, gives values methods, and reads by schemes of its own."""

import numpy as np
import vineyard
from vineyard.core.driver import driver_context, registerize

client = vineyard.connect()
for i in range(8):
    meta = vineyard.ObjectMeta()
    meta["typename"] = f"shop::{'Order' if i % 2 else 'Customer'}<{i}>"
    meta["number_"] = np.int64(i)
    client.label(client.create_metadata(meta).id, "day", str(i))

assert len(client.list_objects("shop::*")) == 5
orders = client.list_objects(pattern="shop::Order*", limit=100)
assert sorted(o.meta["number_"] for o in orders) == [1, 3, 5, 7]
assert {o.typename for o in client.list_objects("shop::.*<[01]>", regex=True, limit=100)} == {
    "shop::Customer<0>",
    "shop::Order<1>",
}
metas = client.list_metadatas("shop::?rder*", limit=100, nobuffer=True)
assert sorted(int(meta.labels["day"]) for meta in metas) == [1, 3, 5, 7]
assert metas[0].label("day") == metas[0].labels["day"]
client.label(metas[0].id, {"day": "monday", "paid": "yes"})
assert client.get_meta(metas[0].id).labels == {"day": "monday", "paid": "yes"}
assert metas[0].timestamp > 0
for found in client.list_objects("*", limit=None):
    assert client.get_meta(found.id).typename == found.typename
    assert client.get_object(found.id).id == found.id
text = str(client.status)
assert "memory_usage" in text
assert client.status.memory_usage <= client.status.memory_limit

# Drivers: methods of what is got, by the typename.
with driver_context() as drivers:
    drivers.register("shop::Order", "total", lambda order, factor: order * factor)

    class Number(int):
        pass

    def resolve(obj):
        return Number(obj.meta["number_"])

    with vineyard.resolver_context({"shop::": resolve}):
        order = client.get(orders[0].id)
        assert order.total(2) == 2 * order
        customer = client.get(client.list_objects("shop::Customer*")[0].id)
        assert not hasattr(customer, "total")


@registerize
def load(path):
    raise NotImplementedError(path)


load.register("csv", len)


def read_numbers(path, socket, *args, **kwargs):
    connected = vineyard.connect(socket)
    return connected.put(list(range(kwargs["read_options"]["n"])))


vineyard.io.read.register("numbers", read_numbers)
ref = vineyard.io.open(
    "numbers://any", vineyard_ipc_socket=client.ipc_socket, read_options={"n": 3}
)
assert client.get(ref) == [0, 1, 2]
try:
    vineyard.io.read("nonsense://any", vineyard_ipc_socket=client.ipc_socket)
except NotImplementedError:
    pass
else:
    raise AssertionError("nobody reads that")
client.clear()
assert client.list_objects("*") == []
