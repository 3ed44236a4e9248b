// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Where each object lies in the treemap: volumes hold types, types hold objects. Runs in the worker.
//
// Objects too small to be seen, or beyond what one picture can show, lie together, one cell for each type
// and class of colour, so that both the areas and the colours stay true with any number of objects.

import { stateOf } from "./columns.js";
import { hierarchy, treemap } from "./vendor/d3-hierarchy.min.js";

const LEAST_AREA = 60; // of a cell of its own, in square pixels
const MOST_CELLS = 3000;
const HEADER = 18; // pixels
const AGES = [60, 3600, 86400]; // seconds

/** The class of colour: the state's name, or which age. */
export function classOf(list, row, colour, now) {
  if (colour === "state") return stateOf(list, row);
  const age = (now - list.rows.created[row]) / 1000;
  return `age${AGES.filter((limit) => age >= limit).length}`;
}

/** The rows that get cells of their own. */
function chooseLarge(list, rows, area) {
  const { bytes } = list.rows;
  let total = 0;
  for (const row of rows) total += Math.max(1, bytes[row]);
  const least = (LEAST_AREA * total) / area;
  const large = rows.filter((row) => Math.max(1, bytes[row]) >= least);
  if (large.length <= MOST_CELLS) return new Set(large);
  return new Set(large.sort((a, b) => bytes[b] - bytes[a] || a - b).slice(0, MOST_CELLS));
}

/** Map(volume → Map(type → {leaves, small: Map(class → rows), rows: how many})) */
function group(list, rows, large, colour, now) {
  const volumes = new Map();
  for (const row of rows) {
    const volume = list.rows.volume[row];
    const type = list.rows.type[row];
    if (!volumes.has(volume)) volumes.set(volume, new Map());
    const types = volumes.get(volume);
    if (!types.has(type)) types.set(type, { leaves: [], small: new Map(), rows: 0 });
    const inType = types.get(type);
    inType.rows += 1;
    const kind = classOf(list, row, colour, now);
    if (large.has(row)) {
      inType.leaves.push({ row, kind });
    } else {
      if (!inType.small.has(kind)) inType.small.set(kind, []);
      inType.small.get(kind).push(row);
    }
  }
  return volumes;
}

/** A type's cells; the rows of those that stand for several go into groups. */
function leavesOf(list, volume, type, inType, groups) {
  const { rows } = list;
  const leaves = inType.leaves.map(({ row, kind }) => ({
    what: "object",
    key: `object\n${list.volumes[volume]}\n${rows.id[row]}`,
    id: rows.id[row],
    name: rows.name[row],
    bytes: rows.bytes[row],
    created: rows.created[row],
    state: stateOf(list, row),
    kind,
  }));
  for (const [kind, small] of inType.small) {
    const key = `small\n${list.volumes[volume]}\n${list.types[type]}\n${kind}`;
    groups.set(key, small);
    let sum = 0;
    for (const row of small) sum += rows.bytes[row];
    leaves.push({ what: "small", key, bytes: sum, weight: Math.max(sum, small.length), objects: small.length, kind });
  }
  return leaves;
}

function headerOf(node) {
  return node.depth > 0 && node.x1 - node.x0 >= 40 && node.y1 - node.y0 >= 2 * HEADER ? HEADER : 1;
}

/** Cells in the order in which they are drawn, each within the one it belongs to; and the small groups' rows. */
export function layOut(list, rows, { width, height, colour, now }) {
  const large = chooseLarge(list, rows, width * height);
  const volumes = group(list, rows, large, colour, now);
  const groups = new Map();
  const tree = {
    children: [...volumes].map(([volume, types]) => ({
      what: "volume",
      key: `volume\n${list.volumes[volume]}`,
      volume: list.volumes[volume],
      children: [...types].map(([type, inType]) => ({
        what: "type",
        key: `type\n${list.volumes[volume]}\n${list.types[type]}`,
        volume: list.volumes[volume],
        type: list.types[type],
        objects: inType.rows,
        children: leavesOf(list, volume, type, inType, groups),
      })),
    })),
  };
  // Equal sizes keep the order of the list, so that the picture stays as it was where nothing changed.
  const root = hierarchy(tree)
    .sum((node) => (node.children ? 0 : Math.max(1, node.weight ?? node.bytes)))
    .sort((a, b) => b.value - a.value);
  treemap()
    .size([width, height])
    .paddingInner(1)
    .paddingOuter((node) => (node.depth > 0 ? 1 : 0))
    .paddingTop(headerOf)
    .round(false)(root);

  const cells = [];
  root.eachBefore((node) => {
    if (node.depth === 0) return;
    const { children, weight, ...data } = node.data;
    if (children) {
      data.header = headerOf(node) === HEADER;
      data.objects ??= children.reduce((sum, child) => sum + child.objects, 0);
      data.bytes = 0;
      node.each((below) => {
        if (!below.children) data.bytes += below.data.bytes ?? 0;
      });
    } else {
      data.volume = node.parent.data.volume;
      data.type = node.parent.data.type;
    }
    cells.push({ ...data, x: node.x0, y: node.y0, width: node.x1 - node.x0, height: node.y1 - node.y0 });
  });
  return { cells, groups };
}
