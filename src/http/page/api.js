// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Asks the server. Both the page and its worker do; each has a copy of the token.

const PATIENCE = 20000; // milliseconds

let token = null;

export function setToken(value) {
  token = value;
}

/** What the server refused, or that it could not be reached (status 0). */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The answer as an object; null where it is unchanged (304). */
export async function get(path) {
  const headers = token === null ? {} : { Authorization: `Bearer ${token}` };
  let answer;
  try {
    answer = await fetch(path, { headers, cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
    if (answer.status === 304) return null;
    if (answer.ok) return await answer.json();
  } catch (error) {
    throw new Refused(0, `no answer (${error.message})`);
  }
  let message = `status ${answer.status}`;
  try {
    message = (await answer.json()).error.message;
  } catch {
    // Not one of ours: the status says it.
  }
  throw new Refused(answer.status, message);
}
