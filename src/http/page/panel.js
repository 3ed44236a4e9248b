// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The side panel: why a thing is there, who holds it, and what may be done about it.

import { get, Refused } from "./api.js";
import { byId, facts, make, opener, setText } from "./dom.js";
import { textOf } from "./paint.js";
import { bytes, count, creator, duration, exactBytes, moment, percent, shown } from "./text.js";

const NARROW = matchMedia("(max-width: 56rem)"); // the panel lies over the page (page.css)
const MOST = 20; // objects of a group that are listed

function bdi(text) {
  return make("bdi", {}, shown(text));
}

function list(items, none) {
  if (!items || items.length === 0) return none;
  return make("ul", {}, ...items.map((item) => make("li", {}, item)));
}

function section(title, content) {
  return make("section", {}, make("h3", {}, title), content);
}

export class Panel {
  constructor({ objects, clients, state, now }) {
    Object.assign(this, { objects, clients, state, now, subject: null, back: null, said: "" });
    this.element = byId("panel");
    NARROW.addEventListener("change", () => this.#coverPage());
    byId("panel-close").addEventListener("click", () => this.close());
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.subject !== null && !event.defaultPrevented) this.close();
    });
  }

  /** subject: {what: "object", volume, id} | {what: "volume"…} | {what: "type"…} | {what: "small", key} | {what: "client"…} */
  async open(subject) {
    if (!this.element.contains(document.activeElement)) this.back = document.activeElement;
    this.subject = subject;
    this.said = "";
    this.element.hidden = false;
    document.body.classList.add("with-panel");
    this.#coverPage();
    setText(byId("panel-title"), "…");
    byId("panel-body").replaceChildren();
    byId("panel-title").focus({ preventScroll: true });
    await this.refresh();
  }

  close() {
    this.subject = null;
    this.element.hidden = true;
    document.body.classList.remove("with-panel");
    this.#coverPage();
    if (this.back?.isConnected) this.back.focus({ preventScroll: true });
    else byId("map").focus({ preventScroll: true });
  }

  /** What lies below the panel can't be reached. */
  #coverPage() {
    const covered = this.subject !== null && NARROW.matches;
    for (const element of document.querySelectorAll("header, main, .skip")) element.inert = covered;
  }

  /** What is shown may have changed, or gone. */
  async refresh() {
    const { subject } = this;
    if (subject === null) return;
    let shownNow;
    try {
      shownNow = await this[`${subject.what}Parts`](subject);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (error.status === 0 || error.status === 401) return; // the page says so
      const gone = error.status === 404;
      shownNow = {
        title: shown(subject.id ?? subject.what),
        data: error.message,
        parts: () => [make("p", {}, gone ? "It is gone." : `The server says: ${shown(error.message)}`)],
      };
    }
    if (subject !== this.subject) return;
    const said = JSON.stringify([shownNow.title, shownNow.data]);
    if (said === this.said) return; // left alone, so that what is marked or focused there stays so
    this.said = said;
    setText(byId("panel-title"), shownNow.title);
    this.#replace(shownNow.parts());
  }

  #replace(parts) {
    const body = byId("panel-body");
    const within = body.contains(document.activeElement);
    const focused = within ? [...body.querySelectorAll("button")].indexOf(document.activeElement) : -1;
    body.replaceChildren(...parts);
    if (within) (body.querySelectorAll("button")[focused] ?? byId("panel-title")).focus({ preventScroll: true });
  }

  async objectParts({ volume, id }) {
    const why = await get(`/api/v1/why?${new URLSearchParams({ volume, id })}`);
    return { title: why.id, data: why, parts: () => this.#objectSections(why, volume) };
  }

  #objectSections(why, volume) {
    const holders = why.held_by?.map((holder) => {
      const pod = holder.pod ? ` in ${shown(holder.pod)}` : "";
      const pinned = holder.pinned ? ", pinned" : "";
      return bdi(`${holder.program ?? "program"} ${holder.pid}${pod}: ${bytes(holder.mapped_bytes)}${pinned}`);
    });
    const member = (id) => opener(id, `why ${id}`, () => this.open({ what: "object", volume, id }));
    return [
      section("Why it is there", list(why.reasons?.map(bdi), "The server gives no reason.")),
      section("What may be done", list(why.advice?.map(bdi), "Nothing is advised.")),
      facts([
        ["type", bdi(why.type)],
        ["volume", bdi(why.volume)],
        ["size", exactBytes(why.bytes)],
        ["in memory", exactBytes(why.memory_bytes)],
        ["on disk", exactBytes(why.spilled_bytes)],
        ["created", moment(why.created)],
        ["by", bdi(creator(why.creator))],
        ["durable", why.durable ? "yes" : "no"],
        ["can go to the disk", why.evictable ? "yes" : "no"],
      ]),
      section("Names", list(why.names?.map(bdi), "none")),
      section("Kept by names", list(why.kept_by_names?.map(bdi), "none")),
      section("Held by", list(holders, "nobody")),
      section("Member of", list(why.members_of?.map(member), "nothing")),
    ];
  }

  async volumeParts({ volume }) {
    const found = this.state()?.volumes.find(({ name }) => name === volume);
    if (found === undefined) throw new Refused(404, "gone");
    const largest = await this.#largest({ scope: { volume } });
    const { memory } = found;
    const part = (of) => `${bytes(of)} (${percent(of, found.quota || this.state().memory.limit)})`;
    return {
      title: `volume ${shown(found.name)}`,
      data: [found, largest],
      parts: () => [
        this.#lookHere({ volume }),
        facts([
          ["objects", count(found.objects)],
          ["names", count(found.names)],
          ["quota", found.quota ? exactBytes(found.quota) : "none"],
          ["guaranteed", found.guaranteed ? exactBytes(found.guaranteed) : "none"],
          ["sealed objects", part(memory.sealed)],
          ["being written", part(memory.writing)],
          ["deleted, still mapped", part(memory.lingering)],
          ["mapped, no longer used", part(memory.idle)],
          ["on its way, or being made", part(memory.moving)],
          ["records", part(memory.records)],
          ["slack", part(memory.slack)],
          ["catalog", part(memory.catalog)],
          ["on disk", bytes(found.spilled)],
          ["kept by names", bytes(found.kept_by_names)],
          ["requests that wait", count(found.waiting)],
        ]),
        this.#largestSection(largest),
      ],
    };
  }

  async typeParts({ volume, type }) {
    const largest = await this.#largest({ scope: { volume, type } });
    return {
      title: `type ${shown(type)}`,
      data: largest,
      parts: () => [
        this.#lookHere({ volume, type }),
        facts([["volume", bdi(volume)], ["objects", count(largest.objects)], ["size", exactBytes(largest.bytes)]]),
        this.#largestSection(largest),
      ],
    };
  }

  async smallParts({ volume, type, key, kind }) {
    const largest = await this.#largest({ group: key });
    return {
      title: `${count(largest.objects)} small objects`,
      data: largest,
      parts: () => [
        make("p", {}, "Each is too small for a cell of its own; together they have the area they are due."),
        this.#lookHere({ volume, type }),
        facts([
          ["type", bdi(type)],
          ["volume", bdi(volume)],
          ["they are", textOf(kind)],
          ["size", exactBytes(largest.bytes)],
        ]),
        this.#largestSection(largest),
      ],
    };
  }

  async clientParts({ volume, client }) {
    const row = this.clients.find(volume, client);
    if (row === null) throw new Refused(404, "gone");
    const search = `pid:${row.pid}`;
    const made = await this.#largest({ scope: { volume, search } });
    return {
      title: `client ${shown(row.program ?? "")} ${row.pid}`,
      data: [row, made],
      parts: () => [
        this.#lookHere({ volume, search }, "Show what it made"),
        facts([
          ["program", bdi(row.program)],
          ["process", `pid ${row.pid}, uid ${row.uid}`],
          ["pod", bdi(row.pod)],
          ["volume", bdi(row.volume)],
          ["is", row.connected ? "connected" : "away; what it holds stays its own until its process ends"],
          ["since", `${moment(row.since)}`],
          ["maps", exactBytes(row.mapped_bytes)],
          ["writes", exactBytes(row.writing_bytes)],
          ["pins", exactBytes(row.pinned_bytes)],
          ["maps, no longer used", exactBytes(row.idle_bytes)],
          ["waiting", count(row.waiting)],
          ["requests", count(row.requests)],
        ]),
        this.#largestSection(made, "Largest that it made"),
      ],
    };
  }

  #largest(question) {
    return this.objects().largest({ ...question, limit: MOST });
  }

  #lookHere(scope, text = "Show only these") {
    const look = () => this.objects().look(scope);
    return make("p", {}, make("button", { type: "button", onclick: look }, text));
  }

  #largestSection(largest, title = "Largest") {
    const items = (largest?.rows ?? []).map(({ volume, id, name, bytes: size, created }) => {
      const open = opener(name ?? id, `why ${shown(name ?? id)}`, () => this.open({ what: "object", volume, id }));
      const item = make("span", {}, open, ` ${bytes(size)}, ${duration((this.now() - created) / 1000)} old`);
      return item;
    });
    return section(title, list(items, "none"));
  }
}
