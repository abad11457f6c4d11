// Numbers as text, elements, downloads. Text enters the page through textContent only.
const DATA = JSON.parse(document.getElementById("data").textContent);
const S = DATA.summary;
const state = { language: "en", charts: [] };
const t = () => TEXT[state.language];

// Between number and unit: never a line break.
const NB = "\u00a0";
function number(value, digits = 3) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const exponent = Math.floor(Math.log10(Math.abs(Number(value.toPrecision(digits)))));
  const decimals = Math.min(20, Math.max(0, digits - 1 - exponent));
  return value.toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}
const whole = (value) => (Number.isFinite(value) ? Math.round(value).toLocaleString("en-US") : "–");
function time(ms) {
  if (ms === null || !Number.isFinite(ms)) return "–";
  if (Math.abs(ms) >= 999.5) return `${number(ms / 1e3)}${NB}s`;
  return Math.abs(ms) >= 0.9995 || ms === 0 ? `${number(ms)}${NB}ms` : `${number(ms * 1e3)}${NB}µs`;
}
function percent(share) {
  if (share === null || !Number.isFinite(share)) return "–";
  const p = share * 100;
  if (p > 99.95 && p < 100) return `99.9${NB}%`;
  const text = p.toFixed(Math.abs(p) < 9.95 || (p > 90 && p <= 100) ? 1 : 0);
  return `${text === "0.0" ? "0" : text === "100.0" ? "100" : text}${NB}%`;
}
// Errors need no tenths above ten per cent.
const errorText = (share) => (share >= 0.1 ? `${Math.round(share * 100)}${NB}%` : percent(share));
const bytes = (value) => (value >= 1e9 ? `${number(value / 1e9)}${NB}GB` : `${number(value / 1e6)}${NB}MB`);
function amount(value) {
  if (value === null || !Number.isFinite(value)) return "–";
  if (Math.abs(value) >= 1000) return whole(value);
  return Math.abs(value) >= 0.1 ? value.toFixed(2) : number(value, 2);
}
const money = (cny, usd, first = DATA.currency) =>
  first === "CNY" ? `CNY${NB}${amount(cny)} (USD ${amount(usd)})` : `USD${NB}${amount(usd)} (CNY ${amount(cny)})`;
const watts = (value) => (value >= 1e3 ? `${number(value / 1e3)}${NB}kW` : `${number(value)}${NB}W`);
// What may begin with the name of an option or a pool, at the start of a title.
const opening = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const meanOf = (list) => (list.length ? list.reduce((a, b) => a + b, 0) / list.length : NaN);
const maxOf = (list) => list.reduce((a, b) => Math.max(a, b), -Infinity);

function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "text") node.textContent = value;
    else if (key === "on") for (const [event, run] of Object.entries(value)) node.addEventListener(event, run);
    else if (value !== null && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

const charts = (...figures) => el("div", { class: figures.length === 1 ? "charts one" : "charts" }, ...figures);
const paragraph = (content, cls = null) => el("p", { text: content, class: cls });

// rows: arrays of cells; a cell is text, or {text, kind} with kind "number", "break" or a mark.
function table(head, rows, { caption = null, tall = false, numeric = [] } = {}) {
  const cell = (tag, content, i) => {
    const plain = typeof content === "string" || typeof content === "number";
    const c = plain ? { text: String(content) } : content;
    const kind = [numeric.includes(i) ? "number" : "", c.kind || ""].join(" ").trim();
    const node = el(tag, { class: kind || null, scope: tag === "th" ? "col" : null });
    if (c.mark) node.append(el("span", { class: `mark ${c.mark}`, text: c.text }));
    else if (c.badge) node.append(el("span", { class: "badge", text: c.text }));
    else node.textContent = c.text;
    return node;
  };
  const node = el("table", {},
    caption ? el("caption", { text: caption }) : null,
    el("thead", {}, el("tr", {}, ...head.map((h, i) => cell("th", h, i)))),
    el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map((c, i) => cell("td", c, i))))));
  return el("div", { class: tall ? "scroll tall" : "scroll", tabindex: "0", role: "region", "aria-label": caption || head[0] }, node);
}

function toCsv(rows) {
  const field = (value) => {
    const text = value === null || value === undefined ? "" : String(value);
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return rows.map((row) => row.map(field).join(",")).join("\r\n") + "\r\n";
}
function download(name, rows) {
  const url = URL.createObjectURL(new Blob([toCsv(rows)], { type: "text/csv;charset=utf-8" }));
  const link = el("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60000);  // a busy machine starts the download late
}
