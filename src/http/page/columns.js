// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The list of objects as the server gives it, by columns, and questions about it. Runs in the worker.

/** Which rows are meant: a volume's, a type's (within it or everywhere), those that words are found in. */
function matches(list, word) {
  const exact = word.startsWith("pid:") || word.startsWith("uid:");
  const types = list.types.map((type) => type.toLowerCase().includes(word));
  const creators = list.creators.map(({ pid, uid, pod, program }) =>
    exact
      ? word === `pid:${pid}` || word === `uid:${uid}`
      : `pid:${pid}`.includes(word) || `uid:${uid}`.includes(word) || [pod, program].some((text) => (text ?? "").toLowerCase().includes(word)),
  );
  const { id, name, type, creator } = list.rows;
  return (row) =>
    types[type[row]] ||
    (creator[row] >= 0 && creators[creator[row]]) ||
    (!exact && (id[row].toLowerCase().includes(word) || (name[row]?.toLowerCase().includes(word) ?? false)));
}

export function select(list, { volume = null, type = null, search = "" }) {
  const inVolume = volume === null ? null : list.volumes.indexOf(volume);
  const ofType = type === null ? null : list.types.indexOf(type);
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const tests = words.map((word) => matches(list, word));
  const { rows } = list;
  const found = [];
  for (let row = 0; row < rows.id.length; row += 1) {
    if (inVolume !== null && rows.volume[row] !== inVolume) continue;
    if (ofType !== null && rows.type[row] !== ofType) continue;
    if (tests.every((test) => test(row))) found.push(row);
  }
  return found;
}

/** What the server does not say of an object is "unknown". */
export function stateOf(list, row) {
  return list.states[list.rows.state[row]] ?? "unknown";
}

/** One object as the page knows it. */
export function object(list, row) {
  const { rows } = list;
  return {
    id: rows.id[row],
    name: rows.name[row],
    names: rows.names[row],
    volume: list.volumes[rows.volume[row]],
    type: list.types[rows.type[row]],
    bytes: rows.bytes[row],
    created: rows.created[row],
    creator: rows.creator[row] < 0 ? null : list.creators[rows.creator[row]],
    state: stateOf(list, row),
  };
}

// What a column is ordered by.
const KEYS = {
  name: (list) => (row) => list.rows.name[row] ?? "\uffff",
  id: (list) => (row) => list.rows.id[row],
  volume: (list) => (row) => list.volumes[list.rows.volume[row]],
  type: (list) => (row) => list.types[list.rows.type[row]],
  bytes: (list) => (row) => list.rows.bytes[row] ?? -1,
  created: (list) => (row) => list.rows.created[row],
  state: (list) => (row) => stateOf(list, row),
  creator: (list) => (row) => list.creators[list.rows.creator[row]]?.pid ?? -1,
};

/** Orders rows in place. Equal ones stay in the order of the list, whichever way it goes. */
export function order(list, rows, sort, descending) {
  const key = KEYS[sort](list);
  const keys = new Map(rows.map((row) => [row, key(row)]));
  const sign = descending ? -1 : 1;
  return rows.sort((a, b) => {
    const [left, right] = [keys.get(a), keys.get(b)];
    if (left === right) return a - b;
    return left < right ? -sign : sign;
  });
}

export function sumBytes(list, rows) {
  let sum = 0;
  for (const row of rows) sum += list.rows.bytes[row];
  return sum;
}
