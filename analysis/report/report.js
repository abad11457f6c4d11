// The page: sections in order, each a function from data to elements.
function confidence() {
  const figure = S.figures.p99_ttft;
  const error = figure.relative_error;
  if (error === null || figure.provenance === "assumed") return "low";
  return error <= 0.1 ? "high" : error <= 0.25 ? "medium" : "low";
}

function verdictWords() {
  const words = t();
  const terms = S.slo.terms;
  if (!terms.length) return { kind: "", head: words.noSlo, rest: words.plain(time(S.p99_ttft_ms), time(S.p99_tpot_ms)) };
  const worst = terms.reduce((a, b) => ((b.margin ?? -Infinity) < (a.margin ?? -Infinity) ? b : a));
  const name = `${worst.metric.toUpperCase()} ${worst.statistic}`;
  const ratio = worst.value_ms / worst.limit_ms;
  const far = !worst.met && ratio >= 2;
  const values = [name, time(worst.value_ms), time(worst.limit_ms), far ? number(ratio, 2) : percent(Math.abs(worst.margin))];
  const missed = terms.filter((term) => !term.met).length;
  let rest = worst.value_ms === null ? words.never(name) : (worst.met ? words.tightest : far ? words.brokenFar : words.broken)(...values);
  if (missed > 1) rest += words.more(missed);
  if (S.slo.inside_error) rest += ` ${words.nearNote(errorText(S.figures.p99_ttft.relative_error))}`;
  const head = (S.slo.met ? words.meets : words.misses) + (S.slo.inside_error ? words.near : "");
  return { kind: S.slo.inside_error ? "doubt" : S.slo.met ? "good" : "bad", head, rest };
}

function tiles() {
  const words = t();
  const tile = (label, value, note) => el("div", { class: "tile" }, paragraph(label, "label"), paragraph(value, "value"), paragraph(note, "note"));
  const cost = S.cost;
  const first = DATA.currency.toLowerCase();
  const month = (code) => cost.per_hour[code] * 730;
  const interval = (key, half) => (S.figures[key].low === null ? half : words.tileRange(half, time(S.figures[key].low), time(S.figures[key].high)));
  const list = [
    tile(words.tileTtft, time(S.p99_ttft_ms), interval("p99_ttft", words.tileHalf(time(S.p50_ttft_ms)))),
    tile(words.tileTpot, time(S.p99_tpot_ms), interval("p99_tpot", words.tileHalf(time(S.p50_tpot_ms)))),
    tile(words.tileOut, number(S.output_throughput, 4), words.tileOutNote(number(S.per_gpu.output_tokens_per_s.value), S.deployment.gpus)),
    tile(words.tileCost, `${DATA.currency}${NB}${amount(cost.per_million_output_tokens[first])}`,
      words.tileMonth(`${DATA.currency}${NB}${amount(month(first))}`)),
    tile(words.tilePower, watts(S.energy.mean_facility_watts), words.tilePowerNote(number(S.energy.mean_gpu_watts), S.energy.pue)),
  ];
  if (S.slo.attainment)
    list.unshift(tile(words.tileAttain, percent(S.slo.attainment.value), words.tileAttainNote(percent(S.slo.attainment.low), percent(S.slo.attainment.high))));
  return el("div", { class: "tiles" }, ...list);
}

function verdict() {
  const words = verdictWords();
  const box = el("div", { class: `verdict ${words.kind}`, role: "status" },
    el("p", { class: "sentence" }, words.head, t().sections.verdict === "结论" ? "：" : ": ", words.rest),
    el("p", { class: "quiet" }, el("span", { class: "badge", text: t().confidence[confidence()] })));
  return [box, tiles()];
}

function slo() {
  const words = t();
  if (!S.slo.terms.length) return [paragraph(words.sloNone)];
  const outcome = (term) => ({
    text: (term.met ? `✓ ${words.met}` : `✗ ${words.missed}`) + (term.inside_error ? ` (${words.doubt})` : ""),
    mark: term.inside_error ? "doubt" : term.met ? "good" : "bad",
  });
  const rows = S.slo.terms.map((term) => [term.term, time(term.value_ms), outcome(term),
    term.margin === null ? "–" : percent(term.margin), percent(term.attainment)]);
  const a = S.slo.attainment;
  return [table(words.sloHead, rows, { numeric: [1, 3, 4] }),
    paragraph(words.sloNote(whole(a.numerator), whole(a.denominator), number(S.request_goodput)), "quiet")];
}

function latency() {
  const words = t();
  const row = (id, label) => [label, ...["mean", "p50", "p90", "p95", "p99"].map((q) => time(S[`${q}_${id}_ms`])), { text: words.defs[id], kind: "wide" }];
  const parts = ["queue", "prefill", "decode"].map((key) => ({ label: words.parts[key], column: `${key}_s`, values: DATA.anatomy.map((a) => a[key]) }));
  const mean = DATA.anatomy[0];
  const biggest = ["queue", "prefill", "decode"].reduce((a, b) => (mean[b] > mean[a] ? b : a));
  const sum = mean.queue + mean.prefill + mean.decode;
  const worst = DATA.worst.map((r) => [whole(r.index), `${number(r.arrival_s, 5)}${NB}s`, whole(r.input), whole(r.output), time(r.queue_ms), time(r.ttft_ms), time(r.e2el_ms), whole(r.preemptions), whole(r.replica)]);
  return [
    table(words.latHead, [row("ttft", "TTFT"), row("tpot", "TPOT"), row("e2el", "E2E")], { numeric: [1, 2, 3, 4, 5] }),
    charts(cdf("ttft", words.ttftTitle(time(S.p50_ttft_ms), time(S.p99_ttft_ms)), "TTFT", "s"),
      cdf("tpot", words.tpotTitle(time(S.p50_tpot_ms), time(S.p99_tpot_ms)), "TPOT", "ms"),
      cdf("e2el", words.e2elTitle(time(S.p50_e2el_ms), time(S.p99_e2el_ms)), "E2E", "s"),
      stacked("anatomy", words.anatomyTitle(words.parts[biggest], percent(mean[biggest] / sum)), words.timeUnit, words.anatomyRows, parts, (v) => time(v * 1e3), false)),
    table(words.worstHead, worst, { caption: words.worstCaption, numeric: [0, 1, 2, 3, 4, 5, 6, 7, 8] }),
    paragraph(words.percentiles, "quiet"),
  ];
}

function cluster() {
  const words = t();
  const s = DATA.series;
  const calm = S.mean_waiting < 0.05 && S.peak_waiting < 1;
  return [charts(
    overTime("queue", calm ? words.queueTitleCalm(number(S.mean_running)) : words.queueTitle(number(S.mean_running), number(S.mean_waiting, 2), number(S.peak_waiting)),
      words.requests, [{ label: words.running, values: s.running, column: "running" }, { label: words.waiting, values: s.waiting, column: "waiting" }]),
    overTime("kv", words.kvTitle(percent(S.kv.mean_used_fraction), percent(S.kv.peak_used_fraction)), words.kvAxis,
      [{ label: words.kv, values: s.kv_used_fraction.map((v) => v * 100), column: "kv_used_percent" }]),
    batchShares(),
    overTime("tokens", words.tokensTitle(number(DATA.step_tokens)), words.tokens, [{ label: words.tokens, values: s.batch_tokens, column: "batch_tokens" }]),
    overTime("output", words.outTitle(number(S.output_throughput), number(maxOf(s.output_tokens_per_s))), words.out,
      [{ label: words.out, values: s.output_tokens_per_s, column: "output_tokens_per_s" }]),
    overTime("watts", words.wattsTitle(number(S.energy.mean_gpu_watts), number(S.energy.peak_gpu_watts)), words.watts,
      [{ label: words.watts, values: s.gpu_watts, column: "gpu_watts" }])),
    ...sharedFabric(), ...expertLoads()];
}

function timeAccount() {
  const words = t();
  const account = S.accounts.time_s;
  const keys = Object.keys(account);
  const total = keys.reduce((sum, key) => sum + account[key], 0);
  const busy = total - account.idle;
  const biggest = keys.filter((k) => k !== "idle").reduce((a, b) => (account[b] > account[a] ? b : a));
  const parts = keys.map((key, i) => ({ label: words.ops[key], column: key, values: [(account[key] / total) * 100], colour: cssColour(`--c${i + 1}`) }));
  return [charts(stacked("time", words.timeTitle(words.ops[biggest], percent(account[biggest] / busy), percent(account.idle / total)),
    words.timeAxis, [words.replicaTime], parts, (v) => `${v.toFixed(1)}${NB}%`))];
}

function memory() {
  const words = t();
  const m = S.accounts.memory_bytes_per_gpu;
  const unused = Math.max(0, m.capacity - m.weights - m.activations - m.reserve - m.kv);
  const parts = ["weights", "activations", "reserve", "kv"].map((key) => ({ label: words.mem[key], column: `${key}_gb`, values: [m[key] / 1e9] }));
  parts.push({ label: words.mem.unused, column: "unused_gb", values: [unused / 1e9], colour: cssColour("--c7") });
  return [charts(stacked("memory", words.memTitle(bytes(m.kv), whole(S.kv.tokens), bytes(m.weights), bytes(m.capacity)), words.memAxis, [words.oneGpu], parts, (v) => `${number(v)}${NB}GB`))];
}

function energy() {
  const words = t();
  const e = S.energy;
  const j = e.joules_per_output_token;
  const keys = ["gpu", "server", "facility"];
  const power = { gpu: e.mean_gpu_watts * S.deployment.gpus, server: e.mean_server_watts, facility: e.mean_facility_watts };
  return [charts(bars("energy", words.energyTitle(number(j.gpu), number(j.facility)), words.energyAxis, keys.map((k) => words.bounds[k]), keys.map((k) => j[k]), "joules_per_output_token", (v) => `${number(v)}${NB}J`)),
    table(words.energyHead, keys.map((k) => [words.bounds[k], number(j[k]), watts(power[k])]), { numeric: [1, 2] })];
}

function figureRows() {
  const words = t();
  const unit = (f) => (f.unit === "ms" ? time : f.unit.startsWith("share") ? percent : f.unit === "W" ? watts : f.unit.startsWith("J") ? (v) => `${number(v)}${NB}J` : (v) => number(v));
  return Object.entries(S.figures).map(([key, f]) => [words.figures[key] || key, unit(f)(f.value),
    f.low === null ? "–" : `${unit(f)(f.low)} – ${unit(f)(f.high)}`, { text: words.prov[f.provenance], badge: true },
    f.relative_error === null ? words.unknown : `±${errorText(f.relative_error)}`, { text: words.basis[f.basis] || f.basis, kind: "wide" }]);
}

function configTable() {
  const words = t();
  const box = table(words.configHead, DATA.config.map(([path, value, origin]) => [{ text: path, kind: "break" }, { text: value, kind: "break" }, { text: origin, kind: "break" }]), { caption: words.configCaption, tall: true });
  const input = el("input", { type: "search", "aria-label": `${words.filter}: ${words.configCaption}`, placeholder: words.filter });
  input.addEventListener("input", () => {
    const wanted = input.value.toLowerCase();
    for (const row of box.querySelectorAll("tbody tr")) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  });
  return [el("p", { class: "filter" }, input), box];
}

function conservation() {
  const words = t();
  const { passed, errors } = S.conservation;
  const text = passed ? `✓ ${DATA.kind ? words.conservationBytes : words.conservation.good}` : `✗ ${words.conservation.bad} ${errors.join("; ")}`;
  return el("p", {}, el("span", { class: `mark ${passed ? "good" : "bad"}`, text }));
}

function trust() {
  const words = t();
  const sources = [...S.sources].sort((a, b) => b.share_of_step_time - a.share_of_step_time)
    .map((s) => [{ text: words.sources(s.name), kind: "break" }, percent(s.share_of_step_time), { text: words.prov[s.provenance], badge: true }, `±${errorText(s.relative_error)}`]);
  const list = [paragraph(words.trustIntro), table(words.figHead, figureRows(), { numeric: [1, 2] }), paragraph(words.provNote, "quiet"),
    table(words.srcHead, sources, { caption: words.srcCaption, numeric: [1, 3] })];
  if (S.over_seeds)
    list.push(table(words.seedsHead, Object.entries(S.over_seeds.metrics).map(([key, m]) => [{ text: key, kind: "break" }, number(m.mean, 4), `${number(m.low, 4)} – ${number(m.high, 4)}`, whole(S.over_seeds.seeds)]), { caption: words.seedsCaption, numeric: [1, 2, 3] }));
  list.push(...checked(), conservation());
  if (S.warnings.length) list.push(el("h3", { text: words.warnings }), ...S.warnings.map((w) => el("pre", { text: w })));
  return [...list, ...configTable()];
}

function reproduce() {
  const words = t();
  const rows = Object.entries(words.reproRows).filter(([key]) => DATA.meta[key] !== undefined).map(([key, label]) => [label, { text: String(DATA.meta[key]), kind: "break" }]);
  for (const [file, hash] of Object.entries(DATA.meta.inputs)) rows.push([{ text: file, kind: "break" }, { text: hash, kind: "break" }]);
  return [paragraph(words.repro), el("pre", {}, el("code", { text: DATA.meta.command + (DATA.report_command ? `\n${DATA.report_command}` : "") })), table(words.reproHead, rows)];
}

// Only where the scenario says what was published of its deployment.
function published() {
  const words = t();
  const rows = S.published.figures.map((f) => [{ text: f.quantity, kind: "break" }, number(f.published), number(f.predicted),
    f.off_percent === null ? "–" : `${f.off_percent > 0 ? "+" : ""}${f.off_percent.toFixed(1)}${NB}%`]);
  return [table(words.publishedHead, rows, { numeric: [1, 2, 3] }), paragraph(`${S.published.source} (${S.published.date})`, "quiet")];
}

// What is not in every report is left out where it is not.
const OPTIONAL = { choice: () => DATA.runs || DATA.plan, published: () => S.published, load: () => DATA.load, efficiency: () => DATA.efficiency,
  links: () => DATA.network, waits: () => S.waits.length };
const SECTIONS = DATA.kind === "traffic" ? TRAFFIC_SECTIONS : { verdict, choice, published, slo, load, latency, cluster, time: timeAccount, efficiency, memory, cost, energy, trust, reproduce };

function render() {
  const words = t();
  for (const chart of state.charts) if (chart.drawn) chart.drawn.destroy();
  state.charts = [];
  document.documentElement.lang = state.language === "zh" ? "zh-CN" : "en";
  for (const node of document.querySelectorAll("[data-text]")) node.textContent = words[node.dataset.text];
  const switcher = document.getElementById("language");
  switcher.textContent = words.other;
  switcher.lang = words.otherCode;
  document.getElementById("name").textContent = S.name;
  document.getElementById("deployment").textContent = DATA.deployment || "";
  document.getElementById("footer").textContent = words.footer(S.foretoken_version);
  const links = [], sections = [];
  for (const [id, build] of Object.entries(SECTIONS)) {
    if (OPTIONAL[id] && !OPTIONAL[id]()) continue;
    links.push(el("a", { href: `#${id}`, text: words.sections[id] }));
    sections.push(el("section", { id, "aria-labelledby": `${id}-head` }, el("h2", { id: `${id}-head`, text: words.sections[id] }), ...build()));
  }
  document.getElementById("contents").replaceChildren(...links);
  document.getElementById("main").replaceChildren(...sections);
  drawCharts();
}

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

// Paper is white, and narrower than the window: the charts get the size that the print style gives
// their boxes, because the page is laid out for paper only after this event.
const PAPER = { column: 304, row: 656, height: 205, flat: 130 };  // CSS pixels, A4 less margins
let themeBefore;
function preparePaper() {
  themeBefore = document.documentElement.dataset.theme;
  document.documentElement.dataset.theme = "light";
  drawCharts({ devicePixelRatio: 2, responsive: false });
  for (const { canvas, drawn } of state.charts) {
    const flat = canvas.parentElement.classList.contains("flat");
    const wide = canvas.closest(".charts").classList.contains("one");
    drawn.resize(wide ? PAPER.row : PAPER.column, flat ? PAPER.flat : PAPER.height);
  }
}
function leavePaper() {
  if (themeBefore) document.documentElement.dataset.theme = themeBefore;
  else delete document.documentElement.dataset.theme;
  drawCharts();
}

function start() {
  const asked = new URLSearchParams(location.search).get("lang") || DATA.language || navigator.language || "en";
  state.language = asked.toLowerCase().startsWith("zh") ? "zh" : "en";
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  render();
  document.getElementById("language").addEventListener("click", () => {
    state.language = t().otherCode;
    render();
  });
  document.getElementById("theme").addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    render();
  });
  document.getElementById("print").addEventListener("click", () => print());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawCharts());
  addEventListener("beforeprint", preparePaper);
  addEventListener("afterprint", leavePaper);
}
start();
