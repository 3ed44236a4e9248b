// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The objects: treemap or table, their colours, what is searched, and which part is looked at. The list
// itself is with the worker (objects_worker.js).

import { Refused } from "./api.js";
import { byId, make, setText } from "./dom.js";
import { AGES, STATES, swatch, textOf } from "./paint.js";
import { Table } from "./table.js";
import { bytes, count, creator, duration, shown } from "./text.js";
import { Treemap } from "./treemap.js";

const ROWS = 50; // of one page of the table
const AGEING = 20; // polls after which the ages are coloured anew

/** Calls of the worker, answered in any order. */
class Worked {
  constructor() {
    this.worker = new Worker("/objects_worker.js", { type: "module" });
    this.waiting = new Map();
    this.number = 0;
    this.failed = null;
    this.worker.onerror = (event) => {
      this.failed = new Error(`the list of objects can't be read: ${event.message ?? "its worker did not start"}`);
      for (const { reject } of this.waiting.values()) reject(this.failed);
      this.waiting.clear();
    };
    this.worker.onmessage = ({ data }) => {
      const { resolve, reject } = this.waiting.get(data.number);
      this.waiting.delete(data.number);
      if ("message" in data) reject(new Refused(data.status, data.message));
      else resolve(data.result);
    };
  }

  ask(call, argument) {
    if (this.failed !== null) return Promise.reject(this.failed);
    this.number += 1;
    const number = this.number;
    return new Promise((resolve, reject) => {
      this.waiting.set(number, { resolve, reject });
      this.worker.postMessage({ number, call, argument });
    });
  }
}

export class Objects {
  /** open(subject) shows something in the side panel; now() is the server's time. */
  constructor({ open, now }) {
    this.worked = new Worked();
    this.now = now;
    this.view = "map";
    this.colour = "state";
    this.scope = { volume: null, type: null, search: "" };
    this.sort = { sort: "bytes", descending: true };
    this.offset = 0;
    this.version = null;
    this.polls = 0;
    this.legend = null;
    this.showing = null; // while the worker is asked for what is to be shown …
    this.again = false; // … and whether something else is wanted already
    this.treemap = new Treemap(byId("map"), byId("map-cell"), { open, leave: () => this.#leave() });
    this.table = new Table(byId("objects-table"), this.#columns(), {
      key: (row) => `${row.volume}\n${row.id}`,
      open: (row) => open({ what: "object", volume: row.volume, id: row.id }),
      sort: (key) => this.#sortBy(key),
      empty: "No objects.",
    });
    this.#listen();
  }

  setToken(token) {
    return this.worked.ask("token", token);
  }

  largest(question) {
    return this.worked.ask("largest", question);
  }

  /** Fetches the list, and shows it if it, or the age of things, changed. anew: whatever version we have. */
  async refresh({ anew }) {
    const { version, objects, more } = await this.worked.ask("refresh", { anew });
    this.polls += 1;
    byId("more").hidden = !more;
    const changed = anew || version !== this.version;
    this.version = version;
    this.objects = objects;
    if (changed || this.polls % AGEING === 0) await this.show();
  }

  /** Looks at a part: {volume, type, search}, what is left out being everything. */
  look(scope) {
    this.scope = { volume: null, type: null, search: "", ...scope };
    this.offset = 0;
    byId("search").value = this.scope.search;
    this.#showCrumbs();
    return this.show();
  }

  /** One question at a time: of what is asked for meanwhile, as by every letter of a search, the last counts. */
  show() {
    this.again = true;
    this.showing ??= (async () => {
      try {
        while (this.again) {
          this.again = false;
          await this.#showOnce();
        }
      } finally {
        this.showing = null;
      }
    })();
    return this.showing;
  }

  async #showOnce() {
    if (this.view === "map") {
      const size = { width: byId("map").clientWidth, height: byId("map").clientHeight };
      const wanted = { ...size, scope: this.scope, colour: this.colour, now: this.now() };
      const answer = await this.worked.ask("layout", wanted);
      if (answer === null) return;
      this.treemap.show(answer.cells, size);
      this.#showLegend(answer.cells);
      this.#showSum(answer);
    } else {
      const answer = await this.#page();
      if (answer === null) return;
      this.table.update(answer.rows);
      this.#showSum(answer);
      this.#showPlace(answer);
    }
  }

  async #page() {
    const wanted = { scope: this.scope, ...this.sort, limit: ROWS };
    const answer = await this.worked.ask("page", { ...wanted, offset: this.offset });
    if (answer === null || this.offset === 0 || this.offset < answer.objects) return answer;
    this.offset = Math.max(0, Math.ceil(answer.objects / ROWS) - 1) * ROWS; // the last page is gone
    return this.worked.ask("page", { ...wanted, offset: this.offset });
  }

  #columns() {
    return [
      { title: "Name or id", sort: "name", text: (row) => shown(row.name ?? row.id, 200) },
      { title: "Id", sort: "id", text: (row) => row.id },
      { title: "Type", sort: "type", text: (row) => shown(row.type, 200) },
      { title: "Volume", sort: "volume", text: (row) => shown(row.volume, 200) },
      { title: "Bytes", sort: "bytes", number: true, text: (row) => bytes(row.bytes), value: (row) => row.bytes },
      { title: "State", sort: "state", text: (row) => textOf(row.state) },
      { title: "Age", sort: "created", number: true, text: (row) => duration((this.now() - row.created) / 1000) },
      { title: "Creator", sort: "creator", text: (row) => creator(row.creator) },
    ];
  }

  #listen() {
    const search = byId("search");
    search.addEventListener("input", () => this.look({ ...this.scope, search: search.value }));
    search.form.addEventListener("submit", (event) => event.preventDefault());
    for (const input of document.querySelectorAll("input[name=view]")) {
      input.addEventListener("change", () => this.#setView(input.value));
    }
    for (const input of document.querySelectorAll("input[name=colour]")) {
      input.addEventListener("change", () => {
        this.colour = input.value;
        this.show();
      });
    }
    byId("before").addEventListener("click", () => this.#turn(-ROWS));
    byId("after").addEventListener("click", () => this.#turn(ROWS));
    new ResizeObserver(() => this.view === "map" && this.show()).observe(byId("map"));
    this.table.showSorted(this.sort.sort, this.sort.descending);
  }

  #setView(view) {
    this.view = view;
    byId("map-view").hidden = view !== "map";
    byId("table-view").hidden = view !== "table";
    this.show();
  }

  #turn(by) {
    this.offset = Math.max(0, this.offset + by);
    this.show();
  }

  #sortBy(key) {
    const numbers = key === "bytes" || key === "created";
    this.sort = { sort: key, descending: this.sort.sort === key ? !this.sort.descending : numbers };
    this.offset = 0;
    this.table.showSorted(key, this.sort.descending);
    this.show();
  }

  /** One level up; false where this is the top. */
  #leave() {
    if (this.scope.type !== null) this.look({ ...this.scope, type: null });
    else if (this.scope.volume !== null) this.look({ ...this.scope, volume: null });
    else return false;
    return true;
  }

  #showCrumbs() {
    const { volume, type, search } = this.scope;
    const steps = [["all volumes", {}]];
    if (volume !== null) steps.push([`volume ${shown(volume, 60)}`, { volume }]);
    if (type !== null) steps.push([`type ${shown(type, 60)}`, { volume, type }]);
    const items = steps.map(([text, scope], index) => {
      const last = index === steps.length - 1;
      const button = make("button", { type: "button", "aria-current": last ? "true" : null }, make("bdi", {}, text));
      button.addEventListener("click", () => this.look({ ...scope, search }));
      return make("li", {}, button);
    });
    byId("crumbs").replaceChildren(...items);
  }

  /** Those classes that there are. */
  #showLegend(cells) {
    const seen = new Set(cells.map(({ kind }) => kind));
    const kinds = (this.colour === "state" ? STATES : AGES).filter((kind) => seen.has(kind));
    if (kinds.join() === this.legend) return;
    this.legend = kinds.join();
    byId("legend").replaceChildren(...kinds.map((kind) => make("li", {}, swatch(kind), textOf(kind))));
  }

  #showSum(answer) {
    const part = answer.objects === this.objects ? "" : ` of ${count(this.objects)}`;
    setText(byId("sum"), `${count(answer.objects)}${part} objects, ${bytes(answer.bytes)}`);
  }

  #showPlace(answer) {
    const last = Math.min(this.offset + ROWS, answer.objects);
    setText(byId("place"), answer.objects === 0 ? "none" : `${count(this.offset + 1)}–${count(last)} of ${count(answer.objects)}`);
    byId("before").disabled = this.offset === 0;
    byId("after").disabled = last >= answer.objects;
  }
}
