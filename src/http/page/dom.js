// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Elements made and changed by text alone: what comes from the server never becomes markup.

import { shown } from "./text.js";

export const byId = (id) => document.getElementById(id);

/** make("li", {class: "x"}, "text", child…) */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A button that says what somebody else chose; it keeps that text's direction to itself. */
export function opener(text, label, onclick) {
  return make("button", { type: "button", class: "open", "aria-label": label, onclick }, make("bdi", {}, shown(text)));
}

/** A list of facts: [[term, text or element], …]. */
export function facts(pairs) {
  const list = make("dl", { class: "facts" });
  for (const [term, value] of pairs) {
    list.append(make("dt", {}, term), make("dd", {}, value));
  }
  return list;
}
