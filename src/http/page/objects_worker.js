// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Holds the list of objects away from the page's thread: reading a hundred thousand rows, ordering them and
// laying them out takes a while, in which the page goes on answering.
//
// The page sends {number, call, argument}; the answer is {number, result} or {number, status, message}.

import { get, setToken } from "./api.js";
import { object, order, select, sumBytes } from "./columns.js";
import { layOut } from "./layout.js";

let list = null;
let laidOut = { list: null, groups: new Map() }; // the last layout, and the list that its rows are numbers in
let ordered = { question: "", rows: [] }; // the last answer of `page`, before it was cut

const calls = {
  token(value) {
    setToken(value);
  },

  /** Fetches the list if it changed; anew: even if its number is the same, as another server may have given that. */
  async refresh({ anew }) {
    const since = list === null || anew ? "" : `?since=${encodeURIComponent(list.version)}`;
    const answer = await get(`/api/v1/objects${since}`);
    if (answer !== null) list = answer;
    return { version: list.version, objects: list.rows.id.length, more: list.more };
  },

  layout({ scope, ...wanted }) {
    if (list === null) return null;
    const rows = select(list, scope);
    const { cells, groups } = layOut(list, rows, wanted);
    laidOut = { list, groups };
    return { cells, objects: rows.length, bytes: sumBytes(list, rows) };
  },

  /** Some rows of the table. */
  page({ scope, sort, descending, offset, limit }) {
    if (list === null) return null;
    const question = JSON.stringify([list.version, scope, sort, descending]);
    if (ordered.question !== question) {
      const rows = order(list, select(list, scope), sort, descending);
      ordered = { question, rows, bytes: sumBytes(list, rows) };
    }
    const rows = ordered.rows.slice(offset, offset + limit).map((row) => object(list, row));
    return { rows, objects: ordered.rows.length, bytes: ordered.bytes };
  },

  /** The largest of a scope, or of the objects that lie together in one cell. */
  largest({ scope, group, limit }) {
    if (list === null) return null;
    const from = group === undefined ? list : laidOut.list;
    const rows = group === undefined ? select(list, scope) : (laidOut.groups.get(group) ?? []).slice();
    order(from, rows, "bytes", true);
    const shown = rows.slice(0, limit).map((row) => object(from, row));
    return { rows: shown, objects: rows.length, bytes: sumBytes(from, rows) };
  },
};

self.onmessage = async ({ data: { number, call, argument } }) => {
  try {
    self.postMessage({ number, result: await calls[call](argument) });
  } catch (error) {
    self.postMessage({ number, status: error.status ?? -1, message: error.message });
  }
};
