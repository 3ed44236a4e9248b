// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// A table whose rows keep their elements, and so the focus, while their figures change.

import { make, setText } from "./dom.js";

/**
 * columns: [{title, text(row), number: bool, value(row)?, sort?: key}]; the first opens the row.
 * options: {key(row), open(row)?, sort(key)?, empty: text}
 */
export class Table {
  constructor(table, columns, options) {
    this.columns = columns;
    this.options = options;
    this.rows = new Map();
    this.heads = new Map();
    this.body = make("tbody");
    const line = make("tr");
    for (const column of columns) {
      const head = make("th", { scope: "col", class: column.number ? "number" : null });
      if (column.sort && options.sort) {
        head.append(make("button", { type: "button", onclick: () => options.sort(column.sort) }, column.title));
        this.heads.set(column.sort, head);
      } else {
        head.append(column.title);
      }
      line.append(head);
    }
    this.none = make("p", { class: "none" }, options.empty);
    table.append(make("thead", {}, line), this.body);
    table.closest(".scroll").after(this.none);
  }

  showSorted(key, descending) {
    for (const [sort, head] of this.heads) {
      if (sort === key) head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
  }

  update(rows) {
    const seen = new Set();
    let before = null;
    for (const row of rows) {
      const key = this.options.key(row);
      if (seen.has(key)) continue;
      seen.add(key);
      const entry = this.rows.get(key) ?? this.#add(key);
      entry.row = row;
      this.#fill(entry);
      // Moved only if it is not there already: a moved element loses the focus.
      const place = before === null ? this.body.firstChild : before.nextSibling;
      if (entry.line !== place) this.#place(entry.line, place);
      before = entry.line;
    }
    for (const [key, entry] of this.rows) {
      if (!seen.has(key)) {
        entry.line.remove();
        this.rows.delete(key);
      }
    }
    this.none.hidden = seen.size > 0;
  }

  #place(line, before) {
    const focused = line.contains(document.activeElement) ? document.activeElement : null;
    this.body.insertBefore(line, before);
    focused?.focus({ preventScroll: true });
  }

  #add(key) {
    const entry = { line: make("tr"), cells: [], row: null };
    this.columns.forEach((column, index) => {
      const cell = make(index === 0 ? "th" : "td", { class: column.number ? "number" : null });
      if (index === 0) cell.setAttribute("scope", "row");
      const text = make("bdi");
      if (index === 0 && this.options.open) {
        cell.append(make("button", { type: "button", class: "open", onclick: () => this.options.open(entry.row) }, text));
      } else {
        cell.append(text);
      }
      entry.line.append(cell);
      entry.cells.push({ cell, text });
    });
    this.rows.set(key, entry);
    return entry;
  }

  #fill(entry) {
    this.columns.forEach((column, index) => {
      const { cell, text } = entry.cells[index];
      setText(text, column.text(entry.row));
      if (column.value) cell.dataset.value = column.value(entry.row);
    });
  }
}
