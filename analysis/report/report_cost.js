// The cost section: the run's prices in fields that the reader may change; the page recomputes by
// the formula of models/cost, and says when its figures are no longer the run's.
const HOURS_A_YEAR = 8760;
const HOURS_A_MONTH = 730;

function runPrices() {
  const c = S.cost;
  const fields = {};
  const price = (key) => { if (c.prices[key]) fields[key] = { value: c.prices[key].amount, unit: c.prices[key].currency }; };
  price("node");
  price("gpu_hour");
  // Electricity, PUE and depreciation are in the price of what is rented.
  if (c.prices.node) {
    price("electricity_kwh");
    fields.pue = { value: S.energy.pue, unit: "", least: 1 };
    fields.horizon_years = { value: c.inputs.horizon_years, unit: "", least: 0.1 };
    fields.maintenance = { value: c.inputs.maintenance_per_year * 100, unit: "%" };
  }
  fields.exchange = { value: c.exchange.cny_per_usd, unit: "", least: 0.01 };
  return fields;
}

// per hour: N price (1 / (H 8760) + m / 8760) + server kW x PUE x tariff, or GPUs x rent.
function costAccount(fields) {
  const rate = fields.exchange.value;
  const both = (value, unit) => (unit === "CNY" ? { cny: value, usd: value / rate } : { cny: value * rate, usd: value });
  const lines = [];
  if (fields.node) {
    const bought = S.deployment.nodes * fields.node.value;
    lines.push({ name: "hardware", ...both(bought / (fields.horizon_years.value * HOURS_A_YEAR), fields.node.unit) });
    lines.push({ name: "maintenance", ...both((bought * fields.maintenance.value) / 100 / HOURS_A_YEAR, fields.node.unit) });
    const kilowatts = (S.energy.mean_server_watts * fields.pue.value) / 1000;
    lines.push({ name: "electricity", ...both(kilowatts * fields.electricity_kwh.value, fields.electricity_kwh.unit) });
  } else {
    lines.push({ name: "rent", ...both(S.deployment.gpus * fields.gpu_hour.value, fields.gpu_hour.unit) });
  }
  const api = S.cost.per_hour_lines.find((l) => l.name === "api");
  if (api) lines.push({ name: "api", ...both(api.usd, "USD") });
  const hour = { cny: 0, usd: 0 };
  for (const line of lines) for (const code of ["cny", "usd"]) hour[code] += line[code];
  const scaled = (factor) => ({ cny: hour.cny * factor, usd: hour.usd * factor });
  const perMillion = (tokens) => (tokens > 0 ? scaled(1e6 / (tokens * 3600)) : { cny: NaN, usd: NaN });
  return { lines, hour, month: scaled(HOURS_A_MONTH), output: perMillion(S.output_throughput), total: perMillion(S.total_token_throughput) };
}

function costChart(account) {
  const words = t();
  const code = DATA.currency.toLowerCase();
  const parts = account.lines.filter((l) => l[code] > 0).map((l) => ({ label: words.costLines[l.name] || l.name, column: l.name, values: [l[code]] }));
  const top = parts.length ? parts.reduce((a, b) => (b.values[0] > a.values[0] ? b : a)) : null;
  const title = top ? words.costTitle(top.label, percent(top.values[0] / account.hour[code]), `${DATA.currency}${NB}${amount(account.hour[code])}`) : words.costRow;
  return charts(stacked("cost", title, words.costAxis(DATA.currency), [words.costRow], parts, (v) => amount(v)));
}

function costTable(account) {
  const words = t();
  const rows = [[words.perMOut, account.output], [words.perMTotal, account.total], [words.perHour, account.hour], [words.perMonth, account.month]];
  return table(words.costHead, rows.map(([name, v]) => [name, amount(v.cny), amount(v.usd)]), { numeric: [1, 2] });
}

function costEditor(fields, changed) {
  const words = t();
  const form = el("form", { class: "prices", "aria-label": words.whatIf });
  for (const [key, field] of Object.entries(fields)) {
    const input = el("input", { type: "number", id: `price-${key}`, value: String(field.value), min: String(field.least ?? 0), step: "any", inputmode: "decimal" });
    input.addEventListener("input", () => {
      if (!input.checkValidity() || input.value === "") return;
      field.value = Number(input.value);
      changed();
    });
    form.append(el("label", { for: input.id }, words.priceFields[key] + (field.unit ? ` (${field.unit})` : ""), input));
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  return form;
}

function priceTable() {
  const words = t();
  const c = S.cost;
  const right = (content) => ({ text: content || "", kind: "number" });
  const prices = Object.entries(c.prices).filter(([, p]) => p)
    .map(([key, p]) => [words.prices[key], `${p.currency}${NB}${amount(p.amount)}`, { text: p.source, kind: "wide" }, right(p.date)]);
  prices.push([words.prices.exchange, number(c.exchange.cny_per_usd), { text: c.exchange.source, kind: "wide" }, right(c.exchange.date)]);
  return table(words.priceHead, prices, { numeric: [1, 3] });
}

function cost() {
  const words = t();
  let fields = runPrices();
  const chart = el("div"), figures = el("div", { id: "cost-figures" }), form = el("div");
  const note = el("p", { class: "quiet", role: "status" });
  const reset = el("button", { type: "button", text: words.reset, hidden: "" });
  const show = (edited) => {
    const account = costAccount(fields);
    state.charts = state.charts.filter((c) => {
      const old = ["chart-cost", "chart-tornado"].includes(c.canvas.id);
      if (old && c.drawn) c.drawn.destroy();
      return !old;
    });
    const swing = tornado(fields);
    chart.replaceChildren(costChart(account), ...(swing ? [charts(swing)] : []));
    figures.replaceChildren(costTable(account));
    note.textContent = edited ? words.edited : words.whatIf;
    reset.hidden = !edited;
    if (edited) for (const id of ["chart-cost", "chart-tornado"]) drawCharts({}, id);
  };
  const start = () => form.replaceChildren(costEditor(fields, () => show(true)));
  reset.addEventListener("click", () => {
    fields = runPrices();
    start();
    show(true);
    note.textContent = words.whatIf;
    reset.hidden = true;
  });
  start();
  show(false);
  return [chart, figures, el("div", { class: "filter" }, note, form, reset), paragraph(t().formula(S.cost.formula), "quiet"), priceTable()];
}
