// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The last minutes as lines: memory, requests, latencies, waiting. Each line has a dash pattern of its own,
// its figures stand below it in words, and all of them are in a table as well.

import { byId, make, setText } from "./dom.js";
import { colour, onScheme } from "./paint.js";
import { Table } from "./table.js";
import { bytes, clock, count, microseconds } from "./text.js";

const rate = (value) => (typeof value === "number" ? `${count(Math.round(value * 10) / 10)}/s` : "–");
const DASHES = [[], [6, 4], [2, 3]];
const HEIGHT = 140;

// title, how a figure is written, [[series, text], …]
const CHARTS = [
  ["Memory", bytes, [["used", "objects"], ["held", "held"], ["spilled", "on disk"]]],
  ["Requests", rate, [["requests_per_s", "requests"], ["failed_per_s", "failed"]]],
  ["Latency", microseconds, [["latency_p50_us", "half below"], ["latency_p99_us", "99 % below"]]],
  ["Waiting", count, [["waiting", "requests"]]],
];

class Chart {
  constructor([title, format, series]) {
    Object.assign(this, { title, format, series, plot: null, data: null, at: null });
    this.place = make("div", { class: "plot", role: "img" });
    this.caption = make("ul", { class: "legend" });
    this.figures = series.map(([, text], index) => {
      const sample = make("canvas", { class: "sample", "aria-hidden": "true", width: "24", height: "8" });
      const figure = make("span");
      this.caption.append(make("li", {}, sample, `${text} `, figure));
      return { sample, figure, index };
    });
    byId("charts").append(make("figure", {}, make("h3", {}, title), this.place, this.caption));
    new ResizeObserver(() => this.#resize()).observe(this.place);
    onScheme(() => this.#rebuild());
    this.#drawSamples();
  }

  show(times, values) {
    this.data = [times, ...this.series.map(([name]) => values[name] ?? times.map(() => null))];
    if (this.plot === null) this.#rebuild();
    else this.plot.setData(this.data);
    this.#say();
  }

  /** The figures at the pointer, or else the last ones. */
  #say() {
    const last = this.data[0].length - 1;
    const at = this.at ?? last;
    const said = this.figures.map(({ figure, index }) => {
      const text = this.format(this.data[index + 1][at]);
      setText(figure, this.at === null ? text : `${text} at ${clock(this.data[0][at] * 1000)}`);
      return `${this.series[index][1]} ${this.format(this.data[index + 1][last])}`;
    });
    this.place.setAttribute("aria-label", `${this.title}, now: ${said.join(", ")}`);
  }

  #rebuild() {
    this.plot?.destroy();
    this.plot = null;
    this.#drawSamples();
    if (this.data === null) return;
    const ink = colour("--text");
    const grid = { stroke: colour("--line"), width: 1 };
    this.plot = new uPlot(
      {
        width: Math.max(100, this.place.clientWidth),
        height: HEIGHT,
        legend: { show: false },
        cursor: { drag: { x: false, y: false }, points: { show: false } },
        scales: { y: { range: (_plot, _low, high) => [0, high > 0 ? high * 1.05 : 1] } },
        axes: [
          { stroke: ink, grid, values: (_plot, marks) => marks.map((mark) => clock(mark * 1000).slice(0, 5)), space: 60 },
          { stroke: ink, grid, values: (_plot, marks) => marks.map(this.format), size: 74 },
        ],
        series: [{}, ...this.series.map((_, index) => this.#line(index))],
        hooks: { setCursor: [(plot) => this.#point(plot.cursor.idx ?? null)] },
      },
      this.data,
      this.place,
    );
  }

  #line(index) {
    return { stroke: colour(`--l${index + 1}`), width: 2, dash: DASHES[index], points: { show: false } };
  }

  #point(index) {
    if (index === this.at) return;
    this.at = index;
    this.#say();
  }

  #resize() {
    if (this.plot !== null) this.plot.setSize({ width: Math.max(100, this.place.clientWidth), height: HEIGHT });
  }

  #drawSamples() {
    for (const { sample, index } of this.figures) {
      const pen = sample.getContext("2d");
      pen.clearRect(0, 0, 24, 8);
      pen.strokeStyle = colour(`--l${index + 1}`);
      pen.lineWidth = 2;
      pen.setLineDash(DASHES[index]);
      pen.beginPath();
      pen.moveTo(0, 4);
      pen.lineTo(24, 4);
      pen.stroke();
    }
  }
}

export class Charts {
  constructor() {
    this.charts = CHARTS.map((description) => new Chart(description));
    const columns = CHARTS.flatMap(([title, format, series]) =>
      series.map(([name, text]) => ({ title: `${title}: ${text}`, number: true, text: (row) => format(row[name]) })),
    );
    this.table = new Table(byId("history-table"), [{ title: "Time", text: (row) => clock(row.time) }, ...columns], {
      key: (row) => row.time,
      empty: "Nothing was measured yet.",
    });
  }

  show({ time, step_s: step, series }) {
    const length = Math.max(0, ...Object.values(series).map((values) => values.length));
    const times = Array.from({ length }, (_, index) => time / 1000 - (length - 1 - index) * step);
    for (const chart of this.charts) chart.show(times, series);
    this.#showTable(times, series, Math.max(1, Math.round(60 / step)));
  }

  /** A row a minute, the newest first. */
  #showTable(times, series, every) {
    const rows = [];
    for (let index = times.length - 1; index >= 0; index -= every) {
      const figures = Object.entries(series).map(([name, values]) => [name, values[index]]);
      rows.push({ time: times[index] * 1000, ...Object.fromEntries(figures) });
    }
    this.table.update(rows);
  }
}
