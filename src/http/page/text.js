// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Numbers and strings as a person reads them.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** 1536 -> "1.5 KiB"; what is not known -> "–". */
export function bytes(value) {
  if (typeof value !== "number") return "–";
  let unit = 0;
  let left = value;
  while (Math.abs(left) >= 1023.95 && unit < UNITS.length - 1) {
    left /= 1024;
    unit += 1;
  }
  return `${unit === 0 || left >= 100 ? Math.round(left) : left.toFixed(1)} ${UNITS[unit]}`;
}

/** With the exact figure, for where there is room. */
export function exactBytes(value) {
  if (typeof value !== "number") return "–";
  return value < 1024 ? `${value} B` : `${bytes(value)} (${count(value)} bytes)`;
}

export function count(value) {
  return typeof value === "number" ? value.toLocaleString("en") : "–";
}

export function percent(part, whole) {
  return whole > 0 ? `${((100 * part) / whole).toFixed(1)} %` : "–";
}

/** Seconds as "12 s", "3 min", "5.2 h", "12 days". */
export function duration(seconds) {
  if (typeof seconds !== "number") return "–";
  if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 36 * 3600) return `${(seconds / 3600).toFixed(1)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

export function microseconds(value) {
  if (typeof value !== "number") return "–";
  if (value < 1000) return `${Math.round(value)} µs`;
  if (value < 1e6) return `${(value / 1000).toFixed(1)} ms`;
  return `${(value / 1e6).toFixed(1)} s`;
}

export function clock(milliseconds) {
  return typeof milliseconds === "number" ? new Date(milliseconds).toLocaleTimeString("en-GB") : "–";
}

export function moment(milliseconds) {
  if (typeof milliseconds !== "number") return "–";
  return new Date(milliseconds).toLocaleString("en-GB");
}

// Control characters, those that turn the direction of writing or show nothing, and halves of pairs.
const HIDDEN =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

function escaped(character) {
  const code = character.charCodeAt(0);
  return code < 256
    ? `\\x${code.toString(16).padStart(2, "0")}`
    : `\\u${code.toString(16).padStart(4, "0")}`;
}

/**
 * A string that somebody else chose, so that each of its characters is seen: what would be invisible,
 * or turn the text around it, is written as an escape.
 */
export function shown(text, most = Infinity) {
  if (text === null || text === undefined) return "–";
  const whole = String(text);
  const cut = whole.length > most ? `${whole.slice(0, most)}…` : whole;
  return cut.replace(HIDDEN, escaped);
}

export function creator(who) {
  if (!who) return "–";
  const program = who.program ? `${shown(who.program, 80)}, ` : "";
  const pod = who.pod ? `, ${shown(who.pod, 80)}` : "";
  return `${program}pid ${who.pid}, uid ${who.uid}${pod}`;
}
