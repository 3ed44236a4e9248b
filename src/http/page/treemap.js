// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The treemap: cells drawn on a canvas, chosen with the pointer or the keyboard, and said in words.

import { setText } from "./dom.js";
import { colour, colourOf, onScheme, patternOf, penOf, textOf } from "./paint.js";
import { bytes, count, shown } from "./text.js";

const HEADER = 18;
const FONT = "12px system-ui, sans-serif";
const MOST = 80; // characters of a label

/** A cell in words: what is read out, and stands below the picture. */
export function words(cell) {
  if (cell === null) return "";
  const kind = textOf(cell.kind);
  if (cell.what === "volume") {
    return `volume ${shown(cell.volume, 200)}: ${count(cell.objects)} objects, ${bytes(cell.bytes)}`;
  }
  const where = `${shown(cell.type, 200)} in ${shown(cell.volume, 200)}`;
  if (cell.what === "type") return `type ${where}: ${count(cell.objects)} objects, ${bytes(cell.bytes)}`;
  if (cell.what === "small") {
    return `${count(cell.objects)} small objects, ${bytes(cell.bytes)} together, ${kind}; ${where}`;
  }
  const name = cell.name === null ? "" : ` “${shown(cell.name, 200)}”`;
  return `${cell.id}${name}, ${bytes(cell.bytes)}, ${kind}; ${where}`;
}

function labelOf(cell) {
  if (cell.what === "volume") return `${shown(cell.volume, MOST)} · ${bytes(cell.bytes)}`;
  if (cell.what === "type") return `${shown(cell.type, MOST)} · ${bytes(cell.bytes)}`;
  if (cell.what === "small") return `${count(cell.objects)} small`;
  return shown(cell.name ?? cell.id, MOST);
}

/** Where a cell is hit: that of a volume or a type is its title. */
function target(cell) {
  return { x: cell.x, y: cell.y, width: cell.width, height: "header" in cell ? HEADER : cell.height };
}

export class Treemap {
  /** element takes the focus and holds a canvas; readout is where the chosen cell is said. */
  constructor(element, readout, { open, leave }) {
    this.element = element;
    this.canvas = element.querySelector("canvas");
    this.drawn = document.createElement("canvas");
    this.readout = readout;
    this.cells = [];
    this.chosen = -1;
    this.key = null; // of the chosen cell, which may move
    this.size = { width: 0, height: 0 };
    element.addEventListener("pointermove", (event) => this.#choose(this.#at(event)));
    element.addEventListener("click", (event) => {
      this.#choose(this.#at(event));
      if (this.chosen >= 0) open(this.cells[this.chosen]);
    });
    element.addEventListener("keydown", (event) => this.#onKey(event, open, leave));
    element.addEventListener("focus", () => this.chosen < 0 && this.#choose(this.#next(-1, 1)));
    onScheme(() => this.draw());
  }

  /** Takes what `layout` gave for a picture of this size. */
  show(cells, size) {
    this.cells = cells;
    this.size = size;
    this.chosen = this.key === null ? -1 : cells.findIndex((cell) => cell.key === this.key);
    this.draw();
    this.#say();
  }

  /** All cells, on a canvas of their own, so that moving from one to the next copies what is there already. */
  draw() {
    const { width, height } = this.size;
    const pen = penOf(this.drawn, width, height);
    pen.clearRect(0, 0, width, height);
    pen.font = FONT;
    pen.textBaseline = "middle";
    for (const cell of this.cells) this.#drawCell(pen, cell);
    this.#drawChosen();
  }

  #drawCell(pen, cell) {
    if ("header" in cell) {
      pen.fillStyle = colour(cell.what === "volume" ? "--box" : "--box2");
      pen.fillRect(cell.x, cell.y, cell.width, cell.height);
      if (cell.header) this.#write(pen, cell, cell.y + HEADER / 2, colour("--text"));
      return;
    }
    pen.fillStyle = patternOf(cell.kind);
    pen.fillRect(cell.x, cell.y, cell.width, cell.height);
    if (cell.width < 36 || cell.height < 16) return;
    const middle = cell.y + Math.min(cell.height / 2, 10);
    this.#write(pen, cell, middle, colour("--on-cell"), colourOf(cell.kind));
  }

  #write(pen, cell, middle, ink, ground = null) {
    const room = cell.width - 8;
    let text = labelOf(cell);
    let wide = pen.measureText(text).width;
    if (wide > room) {
      text = `${text.slice(0, Math.floor((text.length * (room - 10)) / wide))}…`;
      if (text.length < 4) return;
      wide = Math.min(room, pen.measureText(text).width);
    }
    if (ground !== null) {
      pen.fillStyle = ground; // the pattern would make the text hard to read
      pen.fillRect(cell.x + 2, middle - 7, wide + 4, 14);
    }
    pen.fillStyle = ink;
    pen.fillText(text, cell.x + 4, middle, room);
  }

  #drawChosen() {
    const pen = penOf(this.canvas, this.size.width, this.size.height);
    pen.clearRect(0, 0, this.size.width, this.size.height);
    if (this.drawn.width > 0 && this.drawn.height > 0) {
      pen.drawImage(this.drawn, 0, 0, this.size.width, this.size.height);
    }
    if (this.chosen < 0) return;
    const { x, y, width, height } = target(this.cells[this.chosen]);
    for (const [line, wide] of [["--ground", 5], ["--focus", 3]]) {
      pen.strokeStyle = colour(line);
      pen.lineWidth = wide;
      pen.strokeRect(x + 1.5, y + 1.5, Math.max(1, width - 3), Math.max(1, height - 3));
    }
  }

  #at(event) {
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    // The last that holds the point is the innermost.
    return this.cells.findLastIndex((cell) => {
      const { width, height } = "header" in cell ? cell : target(cell);
      return x >= cell.x && x < cell.x + width && y >= cell.y && y < cell.y + height;
    });
  }

  /** The next cell in reading order that can be chosen; the titles too small to be written are passed. */
  #next(from, step) {
    for (let index = from + step; index >= 0 && index < this.cells.length; index += step) {
      if (this.cells[index].header !== false) return index;
    }
    return from;
  }

  /** The nearest cell that begins where the chosen one ends. */
  #towards(dx, dy) {
    if (this.chosen < 0) return this.#next(-1, 1);
    const from = target(this.cells[this.chosen]);
    const centre = { x: from.x + from.width / 2, y: from.y + from.height / 2 };
    let best = this.chosen;
    let least = Infinity;
    this.cells.forEach((cell, index) => {
      if (cell.header === false || index === this.chosen) return;
      const to = target(cell);
      const ahead =
        dx > 0 ? to.x - (from.x + from.width)
        : dx < 0 ? from.x - (to.x + to.width)
        : dy > 0 ? to.y - (from.y + from.height)
        : from.y - (to.y + to.height);
      if (ahead < -2) return;
      const aside =
        dx !== 0
          ? Math.max(0, to.y - centre.y, centre.y - (to.y + to.height))
          : Math.max(0, to.x - centre.x, centre.x - (to.x + to.width));
      const far = ahead + 3 * aside;
      if (far < least) [least, best] = [far, index];
    });
    return best;
  }

  #onKey(event, open, leave) {
    const moves = {
      ArrowRight: () => this.#towards(1, 0),
      ArrowLeft: () => this.#towards(-1, 0),
      ArrowDown: () => this.#towards(0, 1),
      ArrowUp: () => this.#towards(0, -1),
      PageDown: () => this.#next(this.chosen, 1),
      PageUp: () => this.#next(this.chosen < 0 ? 0 : this.chosen, -1),
      Home: () => this.#next(-1, 1),
      End: () => this.#next(this.cells.length, -1),
    };
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key in moves) {
      if (this.cells.length > 0) this.#choose(moves[event.key]());
    } else if (event.key === "Enter" || event.key === " ") {
      if (this.chosen >= 0) open(this.cells[this.chosen]);
    } else if (event.key !== "Escape" || !leave()) {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  #choose(index) {
    if (index === this.chosen || index < 0 || index >= this.cells.length) return;
    this.chosen = index;
    this.key = this.cells[index].key;
    this.#drawChosen();
    this.#say();
  }

  #say() {
    setText(this.readout, this.chosen < 0 ? "" : words(this.cells[this.chosen]));
  }
}
