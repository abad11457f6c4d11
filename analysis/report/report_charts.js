// Charts. Each is a figure with a title that states the finding, a canvas with the same words as
// its alternative text, and its data as CSV.
const cssColour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const palette = (i) => cssColour(`--c${(i % 7) + 1}`);
const DASHES = [[], [7, 4], [2, 3], [9, 3, 2, 3]];

// wide: the canvas is redrawn by Chart.js whenever the box changes size.
function figure({ id, title, config, csv, flat = false }) {
  const canvas = el("canvas", { role: "img", "aria-label": title, id: `chart-${id}` });
  const button = el("button", {
    type: "button", text: t().csv, "aria-label": t().csvOf(title), "data-csv": id,
    on: { click: () => download(`${id}.csv`, csv()) },
  });
  const node = el("figure", { id: `figure-${id}` },
    el("figcaption", {}, el("h3", { text: title }), button),
    el("div", { class: flat ? "plot flat" : "plot" }, canvas));
  state.charts.push({ canvas, config });
  return node;
}

function drawCharts(changes = {}, only = null) {
  for (const chart of state.charts) {
    if (only && chart.canvas.id !== only) continue;
    if (chart.drawn) chart.drawn.destroy();
    const config = chart.config();
    Object.assign(config.options, changes);
    chart.drawn = new Chart(chart.canvas, config);
  }
}

const text = (name) => ({ display: true, text: name, color: cssColour("--quiet") });
function axis(name, more = {}) {
  const { ticks = {}, ...rest } = more;
  return {
    title: text(name), grid: { color: cssColour("--line"), drawTicks: false },
    border: { display: false }, ticks: { color: cssColour("--quiet"), maxRotation: 0, autoSkipPadding: 14, includeBounds: false, ...ticks }, ...rest,
  };
}
function options({ x, y, legend = true, tooltip = {}, more = {} }) {
  return {
    animation: false, responsive: true, maintainAspectRatio: false, normalized: true,
    interaction: { mode: "nearest", axis: "x", intersect: false },
    scales: { x, y },
    plugins: {
      legend: { display: legend, position: "bottom", labels: { color: cssColour("--ink"), usePointStyle: true, pointStyle: "line", boxWidth: 28, boxHeight: 6 } },
      tooltip: { callbacks: tooltip },
    },
    ...more,
  };
}

const line = (label, points, i, more = {}) => ({
  label, data: points, borderColor: palette(i), backgroundColor: palette(i), borderWidth: 2,
  borderDash: DASHES[i % DASHES.length], pointRadius: 0, pointHitRadius: 8, tension: 0, ...more,
});

// An axis for values over several decades with 1, 2, 5 of each as ticks; linear where they differ
// by less than a factor of three.
function spreadAxis(name, values) {
  const low = Math.min(...values), high = maxOf(values);
  if (!(low > 0) || !Number.isFinite(high)) return axis(name, { type: "linear" });
  if (high / low < 3) {
    const margin = Math.max(0.08 * (high - low), 0.02 * high);
    return axis(name, { type: "linear", min: low - margin, max: high + margin, ticks: { callback: (v) => tick(v) } });
  }
  const min = low / 1.1, max = high * 1.1;
  const ticks = (leads) => Array.from({ length: 31 }, (_, i) => 10 ** (i - 15)).flatMap((decade) => leads.map((lead) => lead * decade)).filter((v) => v >= min && v <= max);
  const chosen = [[1, 2, 3, 5, 7], [1, 2, 5], [1, 3], [1]].map(ticks).find((list) => list.length <= 8) || [];
  return axis(name, { type: "logarithmic", min, max, afterBuildTicks: (scale) => { scale.ticks = chosen.map((value) => ({ value })); }, ticks: { autoSkip: false, callback: (v) => tick(v) } });
}

function cdf(id, title, name, unit) {
  const curve = DATA.curves[id];
  const scale = unit === "s" ? 1e-3 : 1;
  const points = () => curve.ms.map((x, i) => ({ x: x * scale, y: curve.share[i] * 100 }));
  const limits = S.slo.terms.filter((term) => term.metric === id);
  return figure({
    id, title,
    csv: () => [[`${id}_ms`, "share_of_requests"], ...curve.ms.map((x, i) => [x, curve.share[i]])],
    config: () => ({
      type: "line",
      data: { datasets: [line(name, points(), 0, { borderDash: [] }),
        ...limits.map((term) => line(term.term, [{ x: term.limit_ms * scale, y: 0 }, { x: term.limit_ms * scale, y: 100 }], 1, { borderColor: cssColour("--bad") }))] },
      options: options({
        x: spreadAxis(`${name} (${unit})`, [...points().map((p) => p.x), ...limits.map((term) => term.limit_ms * scale)]),
        y: axis(t().shareAxis, { min: 0, max: 100 }), legend: limits.length > 0,
        tooltip: { title: () => "", label: (c) => `${c.parsed.y.toFixed(2)}${NB}% ≤ ${time(c.parsed.x / scale)}` },
      }),
    }),
  });
}

// Time in the unit that suits the length of the run.
function clock(end = DATA.series.time_s.length * DATA.series.bin_s) {
  if (end > 3 * 86400) return { scale: 1 / 3600, name: t().hours };
  return end > 600 ? { scale: 1 / 60, name: t().minutes } : { scale: 1, name: t().secondsAxis };
}

// series: [{label, values, column}]; all on one axis.
function overTime(id, title, yName, series, yMore = {}) {
  const { scale, name } = clock();
  const x = DATA.series.time_s;
  return figure({
    id, title,
    csv: () => [["time_s", ...series.map((s) => s.column)], ...x.map((at, i) => [at, ...series.map((s) => s.values[i])])],
    config: () => ({
      type: "line",
      data: { datasets: series.map((s, k) => line(s.label, x.map((at, i) => ({ x: at * scale, y: s.values[i] })), k, { borderWidth: 1.5, stepped: false })) },
      options: options({
        x: axis(name, { type: "linear", min: 0, max: x.length ? (x[x.length - 1] + DATA.series.bin_s) * scale : 1 }),
        y: axis(yName, { beginAtZero: true, ...yMore }), legend: series.length > 1,
        tooltip: { title: (c) => `${number(c[0].parsed.x)} · ${name}`, label: (c) => `${c.dataset.label}: ${number(c.parsed.y)}` },
      }),
    }),
  });
}

const tick = (v) => Number(v.toPrecision(3)).toLocaleString("en-US", { maximumFractionDigits: 6 });

// One horizontal bar a row, parts stacked. parts: [{label, values: [a row each]}].
function stacked(id, title, xName, rows, parts, format, flat = true) {
  return figure({
    id, title, flat,
    csv: () => [["row", ...parts.map((p) => p.column || p.label)], ...rows.map((row, i) => [row, ...parts.map((p) => p.values[i])])],
    config: () => {
      const total = rows.map((_, i) => parts.reduce((sum, p) => sum + p.values[i], 0));
      const set = options({
        x: axis(xName, { stacked: true, beginAtZero: true, max: maxOf(total) > 0 ? maxOf(total) : 1, ticks: { callback: (v) => tick(v) } }),
        y: axis("", { stacked: true, title: { display: false }, grid: { display: false } }),
        tooltip: { label: (c) => `${c.dataset.label}: ${format(c.parsed.x)}` },
        more: { indexAxis: "y", interaction: { mode: "nearest", axis: "xy", intersect: true } },
      });
      set.plugins.legend.labels = { color: cssColour("--ink"), boxWidth: 12, boxHeight: 12 };
      return {
        type: "bar",
        data: { labels: rows, datasets: parts.map((p, i) => ({
          label: rows.length === 1 ? `${p.label} ${format(p.values[0])}` : p.label, data: p.values,
          backgroundColor: p.colour || palette(i), borderColor: cssColour("--panel"), borderWidth: 1, maxBarThickness: 44 })) },
        options: set,
      };
    },
  });
}

// Names that leave a bar no room in a narrow chart.
function shortened(value) {
  const label = this.getLabelForValue(value);
  return this.chart.width < 420 && label.length > 17 ? `${label.slice(0, 16)}…` : label;
}

function bars(id, title, xName, labels, values, column, format) {
  return figure({
    id, title,
    csv: () => [["row", column], ...labels.map((label, i) => [label, values[i]])],
    config: () => ({
      type: "bar",
      data: { labels, datasets: [{ data: values, backgroundColor: palette(0), maxBarThickness: 44 }] },
      options: options({
        x: axis(xName, { beginAtZero: true }), y: axis("", { title: { display: false }, grid: { display: false }, ticks: { callback: shortened, ...(labels.length > 6 ? { autoSkip: false, font: { size: 9 } } : {}) } }), legend: false,
        tooltip: { label: (c) => format(c.parsed.x) }, more: { indexAxis: "y", interaction: { mode: "nearest", axis: "y", intersect: false } },
      }),
    }),
  });
}

// Whole numbers, one column a label.
function columns(id, title, xName, yName, labels, values, names) {
  return figure({
    id, title, flat: true,
    csv: () => [names, ...labels.map((label, i) => [label, values[i]])],
    config: () => ({
      type: "bar",
      data: { labels, datasets: [{ label: yName, data: values, backgroundColor: palette(0), maxBarThickness: 44 }] },
      options: options({ x: axis(xName, { grid: { display: false } }), y: axis(yName, { beginAtZero: true, ticks: { precision: 0 } }), legend: false,
        tooltip: { label: (c) => `${yName}: ${whole(c.parsed.y)}` } }),
    }),
  });
}

// Share of busy time by decoding sequences in the step.
function batchShares() {
  const { sequences, share } = DATA.batch;
  const at = (q) => {
    let sum = 0;
    for (let i = 0; i < share.length; i += 1) { sum += share[i]; if (sum >= q - 1e-12) return sequences[i]; }
    return sequences.length ? sequences[sequences.length - 1] : NaN;
  };
  return figure({
    id: "batch", title: t().batchTitle(whole(at(0.5)), whole(at(0.99))),
    csv: () => [["decode_sequences", "share_of_busy_time"], ...sequences.map((n, i) => [n, share[i]])],
    config: () => ({
      type: "bar",
      data: { datasets: [{ label: t().batchShare, data: sequences.map((n, i) => ({ x: n, y: share[i] * 100 })), backgroundColor: palette(0), barPercentage: 1, categoryPercentage: 1, minBarLength: 1 }] },
      options: options({ x: axis(t().batchAxis, { type: "linear", offset: false, min: -0.5 * DATA.batch.width, ticks: { precision: 0 } }), y: axis(t().batchShare, { beginAtZero: true }), legend: false,
        tooltip: { title: (c) => `${t().batchAxis}: ${c[0].parsed.x}`, label: (c) => `${c.parsed.y.toFixed(2)}${NB}%` } }),
    }),
  });
}
