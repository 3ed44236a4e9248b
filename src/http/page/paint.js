// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What things look like: a class has a colour and a pattern, so that no meaning is carried by colour alone.

import { make } from "./dom.js";

// name → [text, CSS variable, pattern]
const CLASSES = {
  memory: ["in memory", "--c1", "plain"],
  disk: ["on disk", "--c2", "stripes"],
  mixed: ["partly on disk", "--c3", "wide"],
  writing: ["being written", "--c4", "dots"],
  lingering: ["deleted, still mapped", "--c5", "cross"],
  unknown: ["in memory or on disk", "--c6", "wide"],
  age0: ["younger than 1 min", "--a1", "dots"],
  age1: ["younger than 1 h", "--a2", "plain"],
  age2: ["younger than 1 day", "--a3", "stripes"],
  age3: ["older than 1 day", "--a4", "cross"],
  sealed: ["objects", "--c1", "plain"],
  idle: ["mapped by clients that no longer use it", "--c3", "wide"],
  moving: ["on its way to or from the disk, or being made", "--c2", "dots"],
  own: ["records, catalogs, slack", "--c6", "level"],
  ready: ["made ready", "--a2", "level"],
  other: ["other", "--c6", "wide"],
  free: ["free", "--ground", "plain"],
};

export const STATES = ["memory", "disk", "mixed", "writing", "lingering", "unknown"];
export const AGES = ["age0", "age1", "age2", "age3"];

export function textOf(kind) {
  return CLASSES[kind]?.[0] ?? kind;
}

const colours = new Map(); // CSS variable → its value in this scheme
const patterns = new Map(); // class → CanvasPattern
const listeners = [];

/** Says when everything must be drawn again, as light turned dark. */
export function onScheme(listener) {
  listeners.push(listener);
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  colours.clear();
  patterns.clear();
  for (const listener of listeners) listener();
});

export function colour(variable) {
  if (!colours.has(variable)) {
    colours.set(variable, getComputedStyle(document.documentElement).getPropertyValue(variable).trim());
  }
  return colours.get(variable);
}

export function colourOf(kind) {
  return colour(CLASSES[kind]?.[1] ?? "--c6");
}

const STROKES = {
  plain: [],
  stripes: [[0, 8, 8, 0], [-2, 2, 2, -2], [6, 10, 10, 6]],
  wide: [[0, 0, 8, 8]],
  cross: [[0, 4, 8, 4], [4, 0, 4, 8]],
  level: [[0, 4, 8, 4]],
  dots: [[1, 2, 3, 2], [1, 3, 3, 3], [5, 6, 7, 6], [5, 7, 7, 7]],
};

export function patternOf(kind) {
  if (!patterns.has(kind)) {
    const tile = document.createElement("canvas");
    tile.width = tile.height = 8;
    const pen = tile.getContext("2d");
    pen.fillStyle = colourOf(kind);
    pen.fillRect(0, 0, 8, 8);
    pen.strokeStyle = colour("--pattern");
    pen.lineWidth = 1.2;
    for (const [x0, y0, x1, y1] of STROKES[CLASSES[kind]?.[2] ?? "wide"]) {
      pen.beginPath();
      pen.moveTo(x0, y0);
      pen.lineTo(x1, y1);
      pen.stroke();
    }
    patterns.set(kind, pen.createPattern(tile, "repeat"));
  }
  return patterns.get(kind);
}

/** Gives a canvas the size of its place in CSS pixels, and a pen that draws in these. */
export function penOf(canvas, width, height) {
  const scale = window.devicePixelRatio || 1;
  const [w, h] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  return pen;
}

/** A small picture of a class, for legends. */
export function swatch(kind) {
  const canvas = make("canvas", { class: "swatch", "aria-hidden": "true" });
  const draw = () => {
    const pen = penOf(canvas, 16, 16);
    pen.fillStyle = patternOf(kind);
    pen.fillRect(0, 0, 16, 16);
  };
  draw();
  canvas.redraw = draw;
  return canvas;
}

onScheme(() => {
  for (const canvas of document.querySelectorAll("canvas.swatch")) canvas.redraw();
});
