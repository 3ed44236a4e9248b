// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Asks for the token where the server wants one, and keeps it for this tab.

import { setToken } from "./api.js";
import { byId, setText } from "./dom.js";

const KEY = "vineyard-token";

export class Token {
  /** changed(token) hears of each new one; it resolves when that is in use. */
  constructor(changed) {
    this.changed = changed;
    this.dialog = byId("token-dialog");
    this.number = 0; // of the token in use, so that an answer to an earlier one is known as such
    this.dialog.addEventListener("cancel", (event) => event.preventDefault()); // nothing works without
    byId("token-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#take(byId("token").value.trim());
    });
  }

  async restore() {
    const kept = sessionStorage.getItem(KEY);
    if (kept !== null) await this.#use(kept);
  }

  /** The server answered 401. */
  ask() {
    if (this.dialog.open) return;
    setText(byId("token-why"), this.number > 0 ? "The server refused that token." : "");
    sessionStorage.removeItem(KEY);
    byId("token").value = "";
    this.dialog.showModal();
    byId("token").focus();
  }

  async #take(token) {
    if (token === "") return;
    // What a header can't carry would never leave the browser.
    if (!/^[\x21-\x7e]+$/.test(token)) {
      setText(byId("token-why"), "A token has letters, digits and signs, and no spaces.");
      return;
    }
    sessionStorage.setItem(KEY, token);
    this.dialog.close();
    await this.#use(token);
  }

  async #use(token) {
    this.number += 1;
    setToken(token);
    await this.changed(token);
  }
}
