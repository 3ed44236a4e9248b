// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The memory of the instance by state, its disk, and its volumes.

import { byId, facts, make, setText } from "./dom.js";
import { onScheme, patternOf, penOf, swatch, textOf } from "./paint.js";
import { Table } from "./table.js";
import { bytes, count, percent, shown } from "./text.js";

const LARGE = ["sealed", "writing", "lingering", "idle", "moving"];
const KINDS = [...LARGE, "own", "ready", "other", "free"];

/** What the memory is used for: one figure for each kind, which together are the limit. */
export function parts(state) {
  const sum = { sealed: 0, writing: 0, lingering: 0, idle: 0, moving: 0, own: 0 };
  for (const { memory } of state.volumes) {
    for (const kind of LARGE) sum[kind] += memory[kind] ?? 0;
    for (const kind of ["records", "slack", "catalog"]) sum.own += memory[kind] ?? 0;
  }
  const ready = state.memory.ready ?? 0;
  const free = state.memory.free ?? 0;
  const known = Object.values(sum).reduce((a, b) => a + b, ready + free);
  return { ...sum, ready, other: Math.max(0, state.memory.limit - known), free };
}

export class Memory {
  constructor({ open }) {
    this.bar = byId("memory-bar");
    this.figures = new Map();
    for (const kind of KINDS) {
      const figure = make("span");
      byId("memory-legend").append(make("li", {}, swatch(kind), `${textOf(kind)} `, figure));
      this.figures.set(kind, figure);
    }
    this.table = new Table(
      byId("volumes-table"),
      [
        { title: "Volume", text: (row) => shown(row.name, 200) },
        { title: "Objects", number: true, text: (row) => count(row.objects), value: (row) => row.objects },
        { title: "Names", number: true, text: (row) => count(row.names) },
        { title: "In memory", number: true, text: (row) => bytes(row.memory.sealed), value: (row) => row.memory.sealed },
        { title: "On disk", number: true, text: (row) => bytes(row.spilled) },
        { title: "Quota", number: true, text: (row) => (row.quota ? bytes(row.quota) : "none") },
        { title: "Guaranteed", number: true, text: (row) => (row.guaranteed ? bytes(row.guaranteed) : "none") },
        { title: "Kept by names", number: true, text: (row) => bytes(row.kept_by_names) },
        { title: "Clients", number: true, text: (row) => count(row.connections) },
      ],
      { key: (row) => row.name, open: (row) => open({ what: "volume", volume: row.name }), empty: "No volumes." },
    );
    this.state = null;
    onScheme(() => this.#draw());
    new ResizeObserver(() => this.#draw()).observe(this.bar.parentElement);
  }

  show(state) {
    this.state = state;
    const { limit, held } = state.memory;
    setText(byId("memory-sum"), `${bytes(held)} of ${bytes(limit)} held (${percent(held, limit)})`);
    const all = parts(state);
    for (const [kind, figure] of this.figures) {
      setText(figure, `${bytes(all[kind])} (${percent(all[kind], limit)})`);
      figure.dataset.value = all[kind];
      figure.parentElement.hidden = all[kind] === 0;
    }
    this.#draw();
    this.table.update(state.volumes);
    this.#showDisk(state.disk);
  }

  #draw() {
    if (this.state === null) return;
    const { clientWidth: width, clientHeight: height } = this.bar.parentElement;
    const pen = penOf(this.bar, width, height);
    pen.clearRect(0, 0, width, height);
    let from = 0;
    for (const [kind, value] of Object.entries(parts(this.state))) {
      const wide = (width * value) / this.state.memory.limit;
      pen.fillStyle = patternOf(kind);
      pen.fillRect(from, 0, Math.max(0, wide - (wide > 3 ? 1 : 0)), height);
      from += wide;
    }
  }

  #showDisk(disk) {
    const place = byId("disk");
    if (!disk) {
      place.replaceChildren("not used");
      return;
    }
    place.replaceChildren(
      facts([
        ["on disk", bytes(disk.bytes)],
        ["went there", `${count(disk.evictions)} times`],
        ["came back", `${count(disk.loads)} times`],
        ["damaged", disk.damaged ? make("strong", {}, `${count(disk.damaged)} files`) : "none"],
      ]),
    );
  }
}
