// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Who is connected and what they hold; who waits, and for what.

import { byId } from "./dom.js";
import { Table } from "./table.js";
import { bytes, count, duration, shown } from "./text.js";

const WAITS = {
  memory: "for memory",
  quota: "for the volume's quota",
  name: "for a name",
  stream: "for a stream",
  disk: "for the disk",
};

function program(row) {
  const pod = row.pod ? ` in ${shown(row.pod, 100)}` : "";
  return `${row.program ? shown(row.program, 100) : "program"} ${row.pid}${pod}`;
}

export class Clients {
  constructor({ open, now }) {
    const size = (title, key) => ({ title, number: true, text: (row) => bytes(row[key]), value: (row) => row[key] });
    this.clients = new Table(
      byId("clients-table"),
      [
        { title: "Program", text: program },
        { title: "Volume", text: (row) => shown(row.volume, 100) },
        size("Maps", "mapped_bytes"),
        size("Writes", "writing_bytes"),
        size("Pins", "pinned_bytes"),
        size("Maps, unused", "idle_bytes"),
        { title: "Waiting", number: true, text: (row) => count(row.waiting) },
        { title: "Requests", number: true, text: (row) => count(row.requests) },
        { title: "For", number: true, text: (row) => duration(row.since ? (now() - row.since) / 1000 : null) },
        { title: "Is", text: (row) => `${row.connected ? "connected" : "away"}${row.read_only ? ", reads only" : ""}` },
      ],
      {
        key: (row) => `${row.volume}\n${row.client}`,
        open: (row) => open({ what: "client", volume: row.volume, client: row.client }),
        empty: "No clients.",
      },
    );
    this.waits = new Table(
      byId("waits-table"),
      [
        { title: "Program", text: program },
        { title: "Waits", text: (row) => WAITS[row.kind] ?? shown(row.kind, 100) },
        { title: "What", text: (row) => shown(row.what, 200) },
        { title: "Volume", text: (row) => shown(row.volume, 100) },
        size("Bytes", "bytes"),
        { title: "Since", number: true, text: (row) => duration(row.since_s) },
        { title: "Still", number: true, text: (row) => duration(row.left_s) },
      ],
      {
        key: (row) => row.key,
        open: (row) => open({ what: "client", volume: row.volume, client: row.client }),
        empty: "Nobody waits.",
      },
    );
    this.rows = [];
  }

  showClients({ clients }) {
    this.rows = clients;
    this.clients.update([...clients].sort((a, b) => b.mapped_bytes + b.writing_bytes - a.mapped_bytes - a.writing_bytes));
  }

  showWaits({ waits }) {
    const seen = new Map(); // a client may wait for the same thing several times
    const keyed = waits.map((row) => {
      const key = [row.volume, row.client, row.kind, row.what].join("\n");
      seen.set(key, (seen.get(key) ?? 0) + 1);
      return { ...row, key: `${key}\n${seen.get(key)}` };
    });
    this.waits.update(keyed.sort((a, b) => b.since_s - a.since_s));
  }

  find(volume, client) {
    return this.rows.find((row) => row.volume === volume && row.client === client) ?? null;
  }
}
