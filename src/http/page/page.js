// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Puts the parts together, and asks the server every two seconds while somebody looks.

import { get, Refused } from "./api.js";
import { Charts } from "./charts.js";
import { Clients } from "./clients.js";
import { byId, facts, make, setText } from "./dom.js";
import { Memory } from "./memory.js";
import { Objects } from "./objects.js";
import { Panel } from "./panel.js";
import { clock, moment, shown } from "./text.js";
import { Token } from "./token.js";

const EVERY = 2000; // milliseconds

let state = null;
let heard = { time: 0, at: 0 }; // the server's clock, and ours when it said so
let awaySince = null;
let timer = null;

/** The server's time now. */
const now = () => heard.time + (performance.now() - heard.at);

let panel = null;
const open = (subject) => panel.open(subject);
const objects = new Objects({ open, now });
const clients = new Clients({ open, now });
const memory = new Memory({ open });
const charts = new Charts();
panel = new Panel({ objects: () => objects, clients, state: () => state, now });

const token = new Token(async (value) => {
  await objects.setToken(value);
  poll();
});

function showInstance() {
  const { instance } = state;
  setText(byId("deployment"), shown(instance.deployment || instance.socket, 200));
  byId("instance").replaceChildren(
    facts([
      ["version", shown(instance.version)],
      ["deployment", make("bdi", {}, shown(instance.deployment))],
      ["socket", make("bdi", {}, shown(instance.socket))],
      ["uuid", shown(instance.uuid)],
      ["engine", `number ${shown(instance.generation)} of this instance`],
      ["started", moment(instance.started)],
    ]),
  );
}

async function showState() {
  state = await get("/api/v1/state");
  heard = { time: state.time, at: performance.now() };
  memory.show(state);
  showInstance();
}

/** One part of the page from one answer; what is wrong with it is said beside it. */
async function part(name, action) {
  const note = byId(`${name}-note`);
  try {
    await action();
    note.hidden = true;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    setText(note, `Not up to date: ${shown(error.message, 300)}`);
    note.hidden = false;
    if (error.status === 401 || error.status === 0) throw error;
  }
}

async function askAll() {
  await showState();
  const anew = awaySince !== null; // it may be another server now
  await Promise.all([
    part("objects", () => objects.refresh({ anew })),
    part("clients", async () => clients.showClients(await get("/api/v1/clients"))),
    part("waits", async () => clients.showWaits(await get("/api/v1/waits"))),
    part("history", async () => charts.show(await get("/api/v1/history"))),
  ]);
  await panel.refresh();
}

function showLive() {
  awaySince = null;
  document.body.classList.remove("away");
  setText(byId("status"), "live");
  setText(byId("as-of"), clock(heard.time));
}

function showAway(error) {
  awaySince ??= Date.now();
  document.body.classList.add("away");
  const kept = state === null ? "" : ` What is shown is of ${clock(heard.time)}.`;
  let what = `The server says “${shown(error.message, 300)}”`;
  if (!(error instanceof Refused)) what = `This page has failed (${shown(error.message, 300)})`;
  else if (error.status === 0) what = "The server does not answer";
  setText(byId("status"), `${what}, since ${clock(awaySince)}.${kept}`);
  setText(byId("as-of"), "");
}

let polling = null;

/** One question to the server at a time; the next one follows two seconds after its answer. */
function poll() {
  clearTimeout(timer);
  polling ??= (async () => {
    const before = token.number;
    try {
      await askAll();
      showLive();
    } catch (error) {
      if (!(error instanceof Refused)) console.error(error);
      if (error.status === 401 && before === token.number) token.ask();
      showAway(error);
    } finally {
      polling = null;
      if (!document.hidden) timer = setTimeout(poll, before === token.number ? EVERY : 0);
    }
  })();
  return polling;
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) clearTimeout(timer);
  else poll();
});

objects.look({});
await token.restore();
poll();
