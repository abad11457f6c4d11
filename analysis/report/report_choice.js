// What sets a run beside others: the choice between deployments, the load around the predicted one,
// how near the hardware's limits the steps are, and which price the answer hangs on.

// --- choice -------------------------------------------------------------------------------------

// Runs by their name; by their folder where two have the same.
function runNames() {
  const names = (DATA.runs || []).map((run) => run.summary.name);
  return new Set(names).size === names.length ? names : DATA.runs.map((run) => run.folder.replace(/\/+$/, "").split("/").slice(-2).join("/"));
}

// Deployments to choose from: runs, then what a plan ranked.
function deployments() {
  const code = DATA.currency.toLowerCase();
  const names = runNames();
  const list = (DATA.runs || []).map((run, i) => ({
    name: names[i], detail: run.deployment, kind: "run", chosen: i === 0,
    user: run.summary.tokens_per_s_per_user_percentiles.p50, gpu: run.summary.per_gpu.output_tokens_per_s.value,
    cost: run.summary.cost.per_million_output_tokens[code], month: run.summary.cost.per_hour[code] * HOURS_A_MONTH,
    gpus: run.summary.deployment.gpus, met: run.summary.slo.met, ttft: run.summary.p99_ttft_ms, tpot: run.summary.p99_tpot_ms,
  }));
  for (const [i, r] of ((DATA.plan || {}).ranked || []).entries())
    list.push({
      name: `${t().rank}${NB}${i + 1}`, detail: r.deployment, kind: "plan", chosen: !DATA.runs && i === 0,
      user: 1000 / r.metrics.p50_tpot_ms, gpu: r.metrics.output_tokens_per_s_per_gpu,
      cost: r.cost.per_million_output_tokens[code], month: r.cost.per_month[code], gpus: r.gpus, met: true,
      ttft: r.metrics.p99_ttft_ms, tpot: r.metrics.p99_tpot_ms, headroom: r.headroom, breaks: r.first_to_break,
    });
  return list;
}

// Those that no other beats in both.
const frontier = (list) => list.filter((a) => !list.some((b) => b !== a && b.user >= a.user && b.gpu >= a.gpu && (b.user > a.user || b.gpu > a.gpu)))
  .sort((a, b) => a.user - b.user);

function paretoChart(list) {
  const words = t();
  const front = frontier(list);
  const limit = S.slo.terms.filter((term) => term.metric === "tpot").reduce((a, b) => Math.min(a, b.limit_ms), Infinity);
  const point = (o) => ({ x: o.user, y: o.gpu, o });
  const best = list.reduce((a, b) => (b.gpu > a.gpu ? b : a));
  const dots = (label, some, i, style) => ({ type: "scatter", label, data: some.map(point), backgroundColor: palette(i), borderColor: palette(i), pointStyle: style, pointRadius: 5, pointHitRadius: 12 });
  const top = Math.max(...list.map((o) => o.gpu)) * 1.1;
  return figure({
    id: "pareto", title: opening(words.paretoTitle(best.name, number(best.gpu), number(best.user), front.length, list.length)),
    csv: () => [["option", "deployment", "tokens_per_s_per_user_p50", "output_tokens_per_s_per_gpu", "on_frontier"],
      ...list.map((o) => [o.name, o.detail, o.user, o.gpu, front.includes(o)])],
    config: () => ({
      type: "scatter",
      data: { datasets: [
        { type: "line", label: words.frontier, data: front.map(point), borderColor: cssColour("--quiet"), borderDash: [5, 4], borderWidth: 1.5, pointRadius: 0 },
        ...[["run", words.runs, 0, "rect"], ["plan", words.ofPlan, 1, "circle"]].filter(([kind]) => list.some((o) => o.kind === kind && !o.chosen))
          .map(([kind, label, i, style]) => dots(label, list.filter((o) => o.kind === kind && !o.chosen), i, style)),
        { ...dots(words.chosen, list.filter((o) => o.chosen), 2, "star"), pointRadius: 9, borderWidth: 2.5 },
        ...(Number.isFinite(limit) ? [line(words.limitLine(time(limit)), [{ x: 1000 / limit, y: 0 }, { x: 1000 / limit, y: top }], 1, { type: "line", borderColor: cssColour("--bad") })] : []),
      ] },
      options: options({
        x: axis(words.perUser, { type: "linear", beginAtZero: true }), y: axis(words.perGpu, { beginAtZero: true }),
        tooltip: { label: (c) => (c.raw.o ? `${c.raw.o.name}: ${c.raw.o.detail}` : c.dataset.label), afterLabel: (c) => `${number(c.parsed.y)} · ${number(c.parsed.x)}` },
      }),
    }),
  });
}

function costBars(list) {
  const words = t();
  const cheapest = list.filter((o) => o.met).reduce((a, b) => (!a || b.cost < a.cost ? b : a), null) || list[0];
  return bars("cost-per-token", words.cheapestTitle(cheapest.name, `${DATA.currency}${NB}${amount(cheapest.cost)}`),
    words.costPerMillion(DATA.currency), list.map((o) => o.name), list.map((o) => o.cost), "cost_per_million_output_tokens", (v) => amount(v));
}

function comparisonTables() {
  const words = t();
  const list = [];
  const names = runNames();
  for (const [i, c] of (DATA.comparisons || []).entries()) {
    const rows = c.results.map((r) => [{ text: r.metric, kind: "break" }, number(r.a, 4), number(r.b, 4),
      r.a ? percent((r.b - r.a) / Math.abs(r.a)) : "–",
      r.a === r.b ? words.same : r.significant === null ? "–" : { text: r.significant ? `${number(r.low)} … ${number(r.high)}` : words.chance, mark: r.significant ? "good" : "doubt" }]);
    list.push(table(words.compareHead(names[0], names[i + 1]), rows, { caption: words.compareCaption(names[0], names[i + 1]), tall: true, numeric: [1, 2, 3] }));
    if (c.inputs.length)
      list.push(table(words.inputsHead(names[0], names[i + 1]), c.inputs.map(([path, a, b]) => [{ text: path, kind: "break" }, { text: a || "–", kind: "break" }, { text: b || "–", kind: "break" }]),
        { caption: words.inputsCaption, tall: true }));
  }
  return list;
}

function planExtras() {
  const words = t();
  const plan = DATA.plan;
  if (!plan) return [];
  const list = [paragraph(words.planNote(whole(plan.candidates), whole(plan.simulated)), "quiet")];
  const code = DATA.currency.toLowerCase();
  const ways = (plan.ways_to_pay || []).map((w) => [words.way(w.way), amount(w.per_hour[code] * HOURS_A_MONTH), w.break_even_months === null ? "–" : number(w.break_even_months)]);
  if (plan.all_by_api) ways.push([words.allByApi(plan.all_by_api.meets_slo), amount(plan.all_by_api.per_hour[code] * HOURS_A_MONTH), "–"]);
  if (ways.length) list.push(table(words.waysHead(DATA.currency), ways, { caption: words.waysCaption, numeric: [1, 2] }));
  if (plan.breaks_at) list.push(paragraph(words.breaksAt(number(plan.breaks_at.load_factor), plan.breaks_at.first_to_break)));
  if (plan.nodes_by_hour)
    list.push(charts(columns("hours", words.hoursTitle(whole(Math.min(...plan.nodes_by_hour.map((h) => h.nodes))), whole(maxOf(plan.nodes_by_hour.map((h) => h.nodes)))), words.hourAxis, words.nodesAxis,
      plan.nodes_by_hour.map((h) => String(h.hour)), plan.nodes_by_hour.map((h) => h.nodes), ["hour", "nodes"])));
  if (plan.rejected.length)
    list.push(table(words.lostHead, plan.rejected.map((r) => [{ text: r.deployment, kind: "break" }, { text: r.why, kind: "break" }]), { caption: words.lostCaption, tall: true }));
  else list.push(paragraph(words.lostNone, "quiet"));
  return list;
}

function choice() {
  const words = t();
  const list = deployments();
  const right = { numeric: [2, 3, 4, 5, 6] };
  const rows = list.map((o) => [o.chosen ? { text: `★ ${o.name}`, mark: "good" } : { text: o.name, kind: "name" }, { text: o.detail, kind: "wide" }, whole(o.gpus), amount(o.month), time(o.ttft), time(o.tpot),
    o.headroom === undefined ? (o.met === null ? "–" : o.met ? words.met : words.missed) : percent(o.headroom)]);
  return [charts(paretoChart(list), costBars(list)), table(words.optionsHead(DATA.currency), rows, right), ...planExtras(), ...comparisonTables()];
}

// --- load ---------------------------------------------------------------------------------------

function loadChart(id, metric, name, title) {
  const words = t();
  const curve = DATA.load.curve;
  const limits = S.slo.terms.filter((term) => term.metric === metric);
  const series = ["p50", "p99"].map((q) => ({ label: `${name} ${q}`, key: `${q}_${metric}_ms` }));
  const unit = metric === "ttft" ? { scale: 1e-3, name: "s" } : { scale: 1, name: "ms" };
  const ends = [curve[0].load, curve[curve.length - 1].load];
  return figure({
    id, title,
    csv: () => [["load", ...series.map((s) => s.key)], ...curve.map((p) => [p.load, ...series.map((s) => p[s.key])])],
    config: () => ({
      type: "line",
      data: { datasets: [...series.map((s, i) => line(s.label, curve.filter((p) => p[s.key] !== null).map((p) => ({ x: p.load, y: p[s.key] * unit.scale })), i, { pointRadius: 3 })),
        ...limits.map((term) => line(term.term, ends.map((x) => ({ x, y: term.limit_ms * unit.scale })), 1, { borderColor: cssColour("--bad") }))] },
      options: options({
        x: axis(loadName(), { type: "linear", beginAtZero: true }), y: axis(`${name} (${unit.name})`, metric === "ttft" ? { type: "logarithmic", ticks: { callback: (v) => (Number.isInteger(Math.log10(v)) ? tick(v) : "") } } : { beginAtZero: true }),
        tooltip: { title: (c) => `${number(c[0].parsed.x)} ${loadName()}`, label: (c) => `${c.dataset.label}: ${time(c.parsed.y / unit.scale)}` },
      }),
    }),
  });
}
const loadName = () => (DATA.load.load_is === "requests in flight" ? t().inFlight : t().perSecond);

function goodputChart() {
  const words = t();
  const curve = DATA.load.curve;
  const best = curve.reduce((a, b) => ((b.request_goodput || 0) > (a.request_goodput || 0) ? b : a));
  return figure({
    id: "goodput", title: words.goodputTitle(number(best.request_goodput), number(best.load)),
    csv: () => [["load", "request_throughput", "request_goodput", "slo_attainment"], ...curve.map((p) => [p.load, p.request_throughput, p.request_goodput, p.slo_attainment])],
    config: () => ({
      type: "line",
      data: { datasets: [["request_throughput", words.throughput], ["request_goodput", words.goodput]].map(([key, label], i) => line(label, curve.map((p) => ({ x: p.load, y: p[key] })), i, { pointRadius: 3 })) },
      options: options({ x: axis(loadName(), { type: "linear", beginAtZero: true }), y: axis(words.requestsPerS, { beginAtZero: true }),
        tooltip: { title: (c) => `${number(c[0].parsed.x)} ${loadName()}`, label: (c) => `${c.dataset.label}: ${number(c.parsed.y)}/s` } }),
    }),
  });
}

function load() {
  const words = t();
  const l = DATA.load;
  const list = [paragraph(words.capacityIs(number(l.capacity), loadName(), l.first_to_break))];
  list.push(paragraph(words.capacityError(number(l.within_stated_error[0]), number(l.within_stated_error[1]), errorText(l.relative_error_of_latencies)), "quiet"));
  if (l.interval_95[0] !== null) list.push(paragraph(words.capacitySeeds(number(l.interval_95[0]), number(l.interval_95[1]), l.by_seed.length), "quiet"));
  const knee = l.knee === null ? words.noKnee : words.kneeAt(number(l.knee), loadName());
  list.push(charts(loadChart("load-ttft", "ttft", "TTFT", knee), loadChart("load-tpot", "tpot", "TPOT", words.tpotOverLoad(number(l.capacity), loadName()))), charts(goodputChart()));
  return list;
}

// --- efficiency ---------------------------------------------------------------------------------

function rooflineChart(step) {
  const words = t();
  const e = DATA.efficiency;
  const rows = step.operators.filter((op) => op.flops > 0 && op.bytes > 0 && op.seconds > 0);
  const formats = Object.entries(e.flops_per_s).sort((a, b) => a[1] - b[1]);
  const at = (op) => ({ x: op.flops / op.bytes, y: op.flops / op.seconds / 1e12, op });
  const near = rows.reduce((sum, op) => sum + op.roofline_s, 0) / rows.reduce((sum, op) => sum + op.seconds, 0);
  const xs = rows.map((op) => op.flops / op.bytes);
  const span = [Math.min(...xs, 0.5) / 2, Math.max(...xs, ...formats.map(([, peak]) => peak / e.bytes_per_s)) * 3];
  return figure({
    id: `roofline-${step.kind}`, title: words.rooflineTitle(words.steps[step.kind], percent(near)),
    csv: () => [["operator", "flop_per_byte", "tflop_per_s", "seconds", "roofline_seconds", "provenance", "relative_error"],
      ...rows.map((op) => [op.name, op.flops / op.bytes, op.flops / op.seconds / 1e12, op.seconds, op.roofline_s, op.provenance, op.relative_error])],
    config: () => ({
      type: "scatter",
      data: { datasets: [
        ...formats.map(([format, peak], i) => line(format, [{ x: span[0], y: (span[0] * e.bytes_per_s) / 1e12 }, { x: peak / e.bytes_per_s, y: peak / 1e12 }, { x: span[1], y: peak / 1e12 }], i + 1, { type: "line", borderWidth: 1.25 })),
        { label: words.operators, data: rows.map(at), backgroundColor: palette(0), pointRadius: rows.map((op) => 3 + 9 * Math.sqrt(op.seconds / step.gpu_s)), pointHitRadius: 8 },
      ] },
      options: options({
        x: axis(words.intensity, { type: "logarithmic", min: span[0], max: span[1], ticks: { callback: (v) => (Number.isInteger(Math.log10(v)) ? number(v, 1) : "") } }),
        y: axis("TFLOP/s", { type: "logarithmic", ticks: { callback: (v) => (Number.isInteger(Math.log10(v)) ? number(v, 1) : "") } }),
        tooltip: { label: (c) => (c.raw.op ? `${c.raw.op.name}: ${time(c.raw.op.seconds * 1e3)}, ${percent(c.raw.op.roofline_s / c.raw.op.seconds)}` : c.dataset.label) },
      }),
    }),
  });
}

function efficiency() {
  const words = t();
  const steps = DATA.efficiency.steps;
  const rows = steps.map((s) => [{ text: words.steps[s.kind], kind: "name" }, { text: s.kind === "decode" ? words.stepOf(whole(s.batch), whole(s.context)) : words.promptOf(whole(s.tokens)), kind: "wide" },
    time(s.step_s * 1e3), percent(s.mfu), percent(s.mbu), percent(s.host_s / s.step_s), percent(s.operators.filter((op) => op.part === "communication").reduce((sum, op) => sum + op.seconds, 0) / s.step_s)]);
  return [table(words.effHead, rows, { numeric: [2, 3, 4, 5, 6] }), paragraph(words.effNote(DATA.efficiency.gpu), "quiet"), charts(...steps.map(rooflineChart)),
    ...steps.map((s) => table(words.opsHead, s.operators.slice(0, 12).map((op) => [{ text: op.name, kind: "name" }, time(op.seconds * 1e3), percent(op.seconds / s.step_s), percent(op.roofline_s / op.seconds), { text: words.prov[op.provenance], badge: true }, `±${errorText(op.relative_error)}`]),
      { caption: words.opsCaption(words.steps[s.kind]), numeric: [1, 2, 3, 5] }))];
}

// --- tornado ------------------------------------------------------------------------------------

const SWING = 0.3;
// Cost per million output tokens with one field 30 % down and up; the load follows the tokens served.
function swings(fields) {
  const code = DATA.currency.toLowerCase();
  const now = costAccount(fields).output[code];
  const list = Object.entries(fields).filter(([key]) => key !== "exchange").map(([key, field]) => {
    const ends = [1 - SWING, 1 + SWING].map((factor) => {
      const value = key === "pue" ? Math.max(1, field.value * factor) : field.value * factor;
      return costAccount({ ...fields, [key]: { ...field, value } }).output[code];
    });
    return { key, label: t().priceFields[key], ends };
  });
  list.push({ key: "traffic", label: t().traffic, ends: [now / (1 - SWING), now / (1 + SWING)] });
  return { now, list: list.sort((a, b) => Math.abs(b.ends[1] - b.ends[0]) - Math.abs(a.ends[1] - a.ends[0])) };
}

function tornado(fields) {
  const words = t();
  const { now, list } = swings(fields);
  if (!Number.isFinite(now)) return null;
  const top = list[0];
  const range = (s) => [Math.min(...s.ends), Math.max(...s.ends)];
  return figure({
    id: "tornado", title: words.tornadoTitle(top.label, ...range(top).map((v) => `${DATA.currency}${NB}${amount(v)}`)),
    csv: () => [["input", "cost_at_minus_30_percent", "cost_at_plus_30_percent"], ...list.map((s) => [s.key, ...s.ends])],
    config: () => ({
      type: "bar",
      data: { labels: list.map((s) => s.label), datasets: [{ data: list.map(range), backgroundColor: palette(0), maxBarThickness: 22, minBarLength: 2 }] },
      options: options({
        x: axis(words.costPerMillion(DATA.currency), { beginAtZero: false }), y: axis("", { title: { display: false }, grid: { display: false } }), legend: false,
        tooltip: { label: (c) => list[c.dataIndex].ends.map(amount).join(" – ") },
        more: { indexAxis: "y", interaction: { mode: "nearest", axis: "y", intersect: false } },
      }),
    }),
  });
}
