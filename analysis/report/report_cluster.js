// Links over time, load of experts, and the sections of a run of fabric traffic alone.
const SVG = "http://www.w3.org/2000/svg";
function shape(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

// Square root, so that a few per cent are seen beside a full link. Idle is the ground itself.
const heatOf = (use) => Math.sqrt(Math.min(1, Math.max(0, use))).toFixed(2);
const seconds = (s) => time(s * 1e3);
const linkName = (link) => `${link.from} → ${link.to}`;

// One link: a rectangle for each interval with traffic, stretched to the width of its cell.
function heatStrip(row, i, read) {
  const n = row.use.length;
  const marker = shape("rect", { class: "at", x: 0, y: 0, width: 1, height: 1, visibility: "hidden" });
  const cells = row.use.map((use, k) => (use > 0 ? shape("rect", { class: "heat", x: k, y: 0, width: 1, height: 1, "fill-opacity": heatOf(use) }) : null));
  const node = shape("svg", {
    class: "strip", viewBox: `0 0 ${n} 1`, preserveAspectRatio: "none", role: "slider", tabindex: i === 0 ? 0 : -1, "data-row": i,
    "aria-label": t().heatRow(linkName(row), percent(row.mean_use), percent(row.peak_use), seconds(row.waiting_s)),
    "aria-valuemin": 0, "aria-valuemax": n - 1, "aria-valuenow": 0, "aria-valuetext": read(row, 0),
  }, ...cells.filter(Boolean), marker);
  node.show = (k) => {
    marker.setAttribute("x", k);
    marker.setAttribute("visibility", "visible");
    node.setAttribute("aria-valuenow", k);
    node.setAttribute("aria-valuetext", read(row, k));
    return read(row, k);
  };
  node.hide = () => marker.setAttribute("visibility", "hidden");
  return node;
}

// Pointer and arrow keys read single intervals into `output`.
function readable(strips, output) {
  let row = 0, column = 0;
  const go = (r, k) => {
    strips[row].hide();
    strips[row].setAttribute("tabindex", -1);
    row = Math.min(strips.length - 1, Math.max(0, r));
    column = Math.min(Number(strips[row].getAttribute("aria-valuemax")), Math.max(0, k));
    strips[row].setAttribute("tabindex", 0);
    output.textContent = strips[row].show(column);
  };
  const keys = { ArrowLeft: () => go(row, column - 1), ArrowRight: () => go(row, column + 1), Home: () => go(row, 0), End: () => go(row, Infinity), ArrowUp: () => go(row - 1, column), ArrowDown: () => go(row + 1, column) };
  strips.forEach((strip, r) => {
    strip.addEventListener("focus", () => go(r, column));
    strip.addEventListener("pointermove", (event) => {
      const box = strip.getBoundingClientRect();
      go(r, Math.floor(((event.clientX - box.left) / box.width) * (Number(strip.getAttribute("aria-valuemax")) + 1)));
    });
    strip.addEventListener("keydown", (event) => {
      if (!keys[event.key]) return;
      event.preventDefault();
      keys[event.key]();
      strips[row].focus();
    });
  });
}

function heatLegend() {
  const steps = [0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1];
  return el("p", { class: "scale", "aria-hidden": "true" }, `${t().heatScale} `, ...steps.map((use) => el("span", {},
    shape("svg", { class: "swatch", viewBox: "0 0 1 1", preserveAspectRatio: "none" }, shape("rect", { class: "heat", x: 0, y: 0, width: 1, height: 1, "fill-opacity": use > 0 ? heatOf(use) : 0 })),
    `${use * 100}${NB}%`)));
}

function heatTable(heat, strips) {
  const words = t();
  const head = [words.link, words.strip, words.linkMean, words.linkPeak, words.linkLost];
  const end = heat.end_s;
  const axisCell = el("th", { scope: "col", role: "columnheader" }, el("span", { class: "ends" }, ...[0, 0.25, 0.5, 0.75, 1].map((x) => el("span", { text: x ? seconds(x * end) : "0" }))), el("span", { class: "hidden", text: words.strip }));
  const cells = (row, i) => [percent(row.mean_use), percent(row.peak_use), seconds(row.waiting_s)].map((content, k) =>
    el("td", { class: "number", role: "cell", "data-label": head[k + 2], text: content }));
  return el("table", { class: "heatmap", role: "table" },
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, el("th", { scope: "col", role: "columnheader", text: head[0] }), axisCell,
      ...head.slice(2).map((text) => el("th", { scope: "col", role: "columnheader", class: "number", text })))),
    el("tbody", { role: "rowgroup" }, ...heat.links.map((row, i) => el("tr", { role: "row" },
      el("th", { scope: "row", role: "rowheader", text: linkName(row) }), el("td", { role: "cell", class: "stripcell" }, strips[i]), ...cells(row)))));
}

function heatMap(heat) {
  const words = t();
  const top = heat.links[0];
  const title = top.waiting_s > 0 ? words.heatTitle(linkName(top), seconds(top.waiting_s), percent(top.mean_use), percent(top.peak_use))
    : words.heatTitleCalm(linkName(top), percent(top.mean_use), percent(top.peak_use));
  const read = (row, k) => words.heatCell(linkName(row), seconds(k * heat.bin_s), seconds(Math.min(heat.end_s, (k + 1) * heat.bin_s)), percent(row.use[k]), seconds(row.lost_s[k]));
  const csv = () => [["from", "to", "bytes_per_s", "start_s", "end_s", "share_of_rate", "lost_s"],
    ...heat.links.flatMap((row) => row.use.map((use, k) => [row.from, row.to, row.bytes_per_s, k * heat.bin_s, Math.min(heat.end_s, (k + 1) * heat.bin_s), use, row.lost_s[k]]))];
  const strips = heat.links.map((row, i) => heatStrip(row, i, read));
  const output = el("p", { class: "readout", text: words.heatAny });
  readable(strips, output);
  return el("figure", { id: "figure-links" },
    el("figcaption", {}, el("h3", { text: title }),
      el("button", { type: "button", text: words.csv, "aria-label": words.csvOf(title), "data-csv": "links", on: { click: () => download("links.csv", csv()) } })),
    heatTable(heat, strips), heatLegend(), output, paragraph(words.heatNote(whole(heat.links.length), whole(heat.links_used)), "quiet"));
}

// What a deployment's shared fabric carried.
function sharedFabric() {
  if (!S.network) return [];
  const words = t();
  const name = (use) => words.uses[use] || use;
  const uses = Object.entries(S.network.uses).map(([use, u]) => [name(use), whole(u.moves), bytes(u.bytes / u.moves), time(u.mean_ms), time(u.alone_ms), words.times(number(u.slowdown))]);
  const waits = (DATA.network ? DATA.network.waits : []).map((w) => [name(w.who), w.who === w.whom ? words.itself : name(w.whom), seconds(w.seconds), { text: w.worst_link.replace(" -> ", " → "), kind: "break" }]);
  return [DATA.network ? charts(heatMap(DATA.network)) : paragraph(words.noFlows),
    uses.length ? table(words.usesHead, uses, { caption: words.usesCaption, numeric: [1, 2, 3, 4, 5] }) : null,
    waits.length ? table([...words.waitsHead, words.waitsMost], waits, { caption: words.waitsCaption, numeric: [2] }) : null].filter(Boolean);
}

// --- experts ------------------------------------------------------------------------------------

function rankLoad(pool, id) {
  const words = t();
  const { scale, name } = clock(pool.busiest.length * pool.bin_s);
  const lines = [{ label: words.busiest, values: pool.busiest }, ...(pool.rebalanced ? [{ label: words.byChance, values: pool.by_chance }] : [])];
  const at = (i) => (i + 0.5) * pool.bin_s * scale;
  const title = opening(pool.rebalanced ? words.expertsTitleMoved(words.pools[pool.role], whole(pool.ranks), number(pool.mean_busiest), number(pool.mean_by_chance))
    : words.expertsTitle(words.pools[pool.role], whole(pool.ranks), number(pool.mean_busiest)));
  return figure({
    id, title,
    csv: () => [["time_s", "busiest_over_mean", "placed_by_chance_over_mean"], ...pool.busiest.map((v, i) => [(i + 0.5) * pool.bin_s, v, pool.by_chance[i]])],
    config: () => ({
      type: "line",
      data: { datasets: lines.map((l, k) => line(l.label, l.values.map((y, i) => ({ x: at(i), y })).filter((p) => p.y !== null), k, { borderWidth: 1.5 })) },
      options: options({
        x: axis(name, { type: "linear", min: 0, max: pool.busiest.length * pool.bin_s * scale }), y: axis(words.expertsAxis, { min: 0, suggestedMax: 2 }), legend: lines.length > 1,
        tooltip: { title: (c) => `${number(c[0].parsed.x)} · ${name}`, label: (c) => `${c.dataset.label}: ${number(c.parsed.y)}` },
      }),
    }),
  });
}

function popularityOf(pool, id) {
  const words = t();
  const load = pool.popularity;
  const size = pool.experts / load.length;
  const rest = load.slice(load.length / 2).reduce((a, b) => a + b, 0) / load.reduce((a, b) => a + b, 0);
  return figure({
    id, title: opening(words.popularityTitle(words.pools[pool.role], whole(size), whole(pool.experts), number(load[0]), percent(rest))),
    csv: () => [["first_expert", "last_expert", "load_over_mean"], ...load.map((v, i) => [Math.round(i * size) + 1, Math.round((i + 1) * size), v])],
    config: () => ({
      type: "bar",
      data: { datasets: [{ data: load.map((y, i) => ({ x: (i + 0.5) * size, y })), backgroundColor: palette(2), barPercentage: 1, categoryPercentage: 1 }] },
      options: options({ x: axis(words.popularityAxis, { type: "linear", offset: false, min: 0, max: pool.experts, ticks: { precision: 0 } }), y: axis(words.popularityLoad, { beginAtZero: true }), legend: false,
        tooltip: { title: (c) => `${words.popularityAxis}: ${whole(c[0].parsed.x - size / 2 + 1)}–${whole(c[0].parsed.x + size / 2)}`, label: (c) => number(c.parsed.y) } }),
    }),
  });
}

// What step times assumed of the load of experts, pool by pool.
function expertLoads() {
  const words = t();
  return (DATA.experts || []).flatMap((pool, i) => {
    const prefix = words.pools[pool.role] || "";
    if (!pool.popularity) return pool.skew > 0 ? [] : [paragraph(opening(words.expertsEven(prefix, whole(pool.experts), pool.ranks)), "quiet")];
    const id = (name) => (i === 0 ? name : `${name}-${i + 1}`);
    const drawn = pool.ranks > 1 ? [rankLoad(pool, id("experts"))] : [];
    return [charts(...drawn, popularityOf(pool, id("popularity"))),
      paragraph(prefix + words.expertsNote({ skew: number(pool.skew, 2), top: pool.top_k, copies: pool.copies, moved: pool.rebalanced, drift: percent(pool.drift), tokens: whole(pool.tokens) }), "quiet")];
  });
}

// --- what was checked ---------------------------------------------------------------------------

function claimVerdict(text) {
  const words = t();
  const off = text.match(/^off by ([\d.,e+]+)/);
  if (off) return words.offBy(words.times(off[1]));
  return words.outcomes[text.split(" ")[0]] || text;
}

function checkedClaims(claims) {
  const words = t();
  const counts = {};
  for (const claim of claims) counts[claim.verdict.split(" ")[0]] = (counts[claim.verdict.split(" ")[0]] || 0) + 1;
  const parts = Object.keys(words.outcomes).filter((key) => counts[key]).map((key) => `${words.outcomes[key]} ${counts[key]}`).join(", ");
  const rows = claims.map((claim) => [claim.id, { text: state.language === "zh" ? claim.claim_zh : claim.claim, kind: "break" }, claim.claimed ?? "–", claim.predicted ? claim.predicted.text : "–",
    { text: claimVerdict(claim.verdict), mark: claim.verdict === "holds" ? "good" : claim.verdict.startsWith("not") ? "doubt" : "bad" }]);
  return [paragraph(words.claimsSum(whole(claims.length), state.language === "zh" ? parts.replaceAll(", ", "，") : parts)), table(words.claimsHead, rows, { caption: words.claimsCaption, tall: true })];
}

function checkedCases(cases) {
  const words = t();
  const amountOf = (value, unit) => (value === null ? "–" : unit === "points" ? `${number(value, 2)} ${words.points}` : `${number(value, 2)}${NB}%`);
  const known = cases.filter((c) => c.ape !== null && c.unit !== "points");
  const rows = cases.map((c) => [{ text: c.id, kind: "break" }, { text: c.quantity, kind: "break" }, number(c.measured), c.predicted === null ? words.refused : number(c.predicted), amountOf(c.ape, c.unit), amountOf(c.limit, c.unit),
    { text: c.holds ? `✓ ${words.met}` : `✗ ${words.missed}`, mark: c.holds ? "good" : "bad" }]);
  return [paragraph(words.casesSum(whole(cases.filter((c) => c.holds).length), whole(cases.length), `${number(meanOf(known.map((c) => c.ape)), 2)}${NB}%`)),
    table(words.casesHead, rows, { caption: words.casesCaption, tall: true, numeric: [2, 3, 4, 5] })];
}

function checked() {
  const words = t();
  const list = [el("h3", { text: words.holdHead })];
  const known = S.published ? S.published.figures.filter((f) => f.off_percent !== null) : [];
  if (known.length) {
    const worst = known.reduce((a, b) => (Math.abs(b.off_percent) > Math.abs(a.off_percent) ? b : a));
    list.push(paragraph(words.publishedSum(known.length, `${number(meanOf(known.map((f) => Math.abs(f.off_percent))), 2)}${NB}%`, `${number(Math.abs(worst.off_percent), 2)}${NB}%`, worst.quantity)));
  }
  const found = DATA.validated || {};
  if (found.cases) list.push(...checkedCases(found.cases));
  if (found.claims) list.push(...checkedClaims(found.claims));
  if (!found.cases || !found.claims) list.push(paragraph(words.checkIntro), el("pre", {}, el("code", { text: words.checkSteps.join("\n") })));
  return list;
}

// --- fabric traffic alone -----------------------------------------------------------------------

function trafficVerdict() {
  const words = t();
  const worst = S.traffic.reduce((a, b) => (b.slowdown > a.slowdown ? b : a));
  const sentence = worst.slowdown > 1.005 ? words.trafficVerdict(worst.name, number(worst.slowdown), time(worst.mean_ms), time(worst.alone_ms)) : words.trafficCalm;
  const rows = S.traffic.map((s) => [{ text: s.name, kind: "break" }, s.algorithm, whole(s.repeats), time(s.alone_ms), time(s.mean_ms), time(s.p99_ms), words.times(number(s.slowdown)), `${number(s.busbw_bytes_per_s / 1e9)}${NB}GB/s`]);
  const waited = (s) => Math.max(0, s.mean_ms - s.alone_ms);
  const parts = [{ label: words.streamAlone, column: "alone_ms", values: S.traffic.map((s) => s.mean_ms - waited(s)) }, { label: words.streamWait, column: "waiting_ms", values: S.traffic.map(waited) }];
  return [el("div", { class: "verdict", role: "status" }, el("p", { class: "sentence", text: sentence })), table(words.streamsHead, rows, { numeric: [2, 3, 4, 5, 6, 7] }),
    charts(stacked("streams", words.streamsTitle(worst.name, percent(worst.mean_ms > 0 ? waited(worst) / worst.mean_ms : 0)), words.streamAxis, S.traffic.map((s) => s.name), parts, (v) => time(v)))];
}

function trafficWaits() {
  const words = t();
  const rows = S.waits.map((w) => [w.who, w.who === w.whom ? words.itself : w.whom, seconds(w.seconds), { text: w.worst_link.replace(" -> ", " → "), kind: "break" }]);
  return [table([...words.waitsHead, words.waitsMost], rows, { numeric: [2] })];
}

const TRAFFIC_SECTIONS = {
  verdict: trafficVerdict, links: () => [charts(heatMap(DATA.network))], waits: trafficWaits,
  trust: () => [paragraph(t().trafficTrust), conservation(), ...configTable()], reproduce: () => reproduce(),
};
