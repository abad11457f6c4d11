"use strict";
// The local page: runs, an editor that checks as one types, a run with its progress. Text enters
// through textContent only.
const WORDS = {
  en: { other: "中文", code: "zh", title: "Runs and scenarios", runs: "Runs", scenarios: "Scenario files", save: "Save", run: "Save and run", interrupt: "Interrupt",
    skip: "Skip to the runs", none: "No run here yet.", noFiles: "No scenario file in this folder.", head: ["Run", "Kind", "Verdict", "Written"], fine: (n) => `No problem found: ${n}`,
    readOnly: "Read-only: start the server with --allow-run to save and run.", saved: "Saved.", ended: (c) => (c === 0 ? "Done." : `Ended with exit code ${c}.`),
    running: (p, s) => (p === null ? `simulated ${s} s` : `${Math.round(p * 100)} %, simulated ${s} s`), editor: "Scenario, YAML", file: "File", open: "report" },
  zh: { other: "English", code: "en", title: "运行与场景", runs: "运行", scenarios: "场景文件", save: "保存", run: "保存并运行", interrupt: "中断",
    skip: "跳到运行列表", none: "这里还没有运行结果。", noFiles: "该文件夹中没有场景文件。", head: ["运行", "类型", "结论", "写入时间"], fine: (n) => `未发现问题：${n}`,
    readOnly: "只读：用 --allow-run 启动服务才能保存和运行。", saved: "已保存。", ended: (c) => (c === 0 ? "完成。" : `以退出码 ${c} 结束。`),
    running: (p, s) => (p === null ? `已仿真 ${s} 秒` : `${Math.round(p * 100)} %，已仿真 ${s} 秒`), editor: "场景（YAML）", file: "文件", open: "报告" },
};
const token = new URLSearchParams(location.search).get("token");
const allowed = document.body.dataset.allowRun === "yes";
const at = (id) => document.getElementById(id);
let words = (navigator.language || "en").toLowerCase().startsWith("zh") ? WORDS.zh : WORDS.en;

function node(tag, text, attributes = {}, ...children) {
  const n = document.createElement(tag);
  if (text !== null) n.textContent = text;
  for (const [key, value] of Object.entries(attributes)) n.setAttribute(key, value);
  n.append(...children);
  return n;
}
async function ask(path, parameters = {}, request = {}) {
  const query = new URLSearchParams(parameters);
  const response = await fetch(`${path}?${query}`, { ...request, headers: { "X-Foretoken-Token": token } });
  return { ok: response.ok, body: await response.json() };
}

function showProblems(lines, kind) {
  at("problems").replaceChildren(...lines.map((line) => node(line.includes("\n") ? "pre" : "p", line, { class: kind === "good" ? "mark good" : "mark bad" })));
}

async function showRuns() {
  const { body } = await ask("/api/v1/runs");
  at("folder").textContent = body.folder;
  if (!body.runs.length) return at("runs").replaceChildren(node("p", words.none));
  const rows = body.runs.map((run) => node("tr", null, {},
    node("td", null, { class: "break" }, node("a", run.name, { href: `/report?${new URLSearchParams({ run: run.path, token })}`, title: run.path })),
    node("td", run.kind), node("td", run.verdict, { class: "break" }), node("td", new Date(run.written_s * 1000).toISOString().slice(0, 16).replace("T", " "))));
  return at("runs").replaceChildren(node("div", null, { class: "scroll", tabindex: "0", role: "region", "aria-label": words.runs },
    node("table", null, {}, node("thead", null, {}, node("tr", null, {}, ...words.head.map((h) => node("th", h, { scope: "col" })))), node("tbody", null, {}, ...rows))));
}

async function showFiles() {
  const { body } = await ask("/api/v1/scenarios");
  at("files").replaceChildren(...body.scenarios.map((path) => node("option", path, { value: path })));
  if (body.scenarios.length) await openFile();
  else showProblems([words.noFiles], "bad");
}
async function openFile() {
  const { ok, body } = await ask("/api/v1/scenario", { path: at("files").value });
  at("text").value = ok ? body.text : "";
  await check();
}

let waiting = 0;
async function check() {
  const asked = ++waiting;
  const { ok, body } = await ask("/api/v1/check", { path: at("files").value }, { method: "POST", body: at("text").value });
  if (asked !== waiting) return ok;  // an answer about older text
  const lines = (body.diagnostics || []).map((d) => d.text);
  if (ok) showProblems([words.fine(body.name), ...lines], "good");
  else showProblems(lines.length ? lines : [body.error], "bad");
  return ok;
}

async function save() {
  const { ok, body } = await ask("/api/v1/scenario", { path: at("files").value }, { method: "PUT", body: at("text").value });
  at("progress").replaceChildren(node("p", ok ? words.saved : body.error));
  return ok;
}
async function run() {
  if (!(await save())) return;
  const { ok, body } = await ask("/api/v1/run", { path: at("files").value }, { method: "POST" });
  if (!ok) { showProblems((body.diagnostics || []).map((d) => d.text).concat(body.diagnostics ? [] : [body.error]), "bad"); return; }
  const bar = node("progress", null, { max: "1", "aria-label": words.run });
  const line = node("p", "");
  at("progress").replaceChildren(bar, line);
  at("interrupt").hidden = false;
  const events = new EventSource(`/api/v1/events?${new URLSearchParams({ token })}`);
  events.addEventListener("progress", (event) => {
    const p = JSON.parse(event.data);
    if (p.share !== null) bar.value = p.share;
    line.textContent = words.running(p.share, p.simulated_s.toFixed(0));
  });
  events.addEventListener("message", (event) => at("progress").append(node("p", JSON.parse(event.data))));
  events.addEventListener("end", (event) => {
    events.close();
    at("interrupt").hidden = true;
    bar.value = 1;
    const code = JSON.parse(event.data).exit_code;
    line.textContent = words.ended(code);
    if (code === 0 || code === 5) line.append(" ", node("a", words.open, { href: `/report?${new URLSearchParams({ run: body.run, token })}` }));
    showRuns();
  });
}

function label() {
  document.documentElement.lang = words === WORDS.zh ? "zh-CN" : "en";
  for (const n of document.querySelectorAll("[data-text]")) n.textContent = words[n.dataset.text];
  at("language").textContent = words.other;
  at("language").lang = words.code;
  at("text").setAttribute("aria-label", words.editor);
  at("files").setAttribute("aria-label", words.file);
  for (const id of ["save", "run"]) at(id).disabled = !allowed;
  if (!allowed) at("progress").replaceChildren(node("p", words.readOnly, { class: "quiet" }));
}

let timer = 0;
at("text").addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(check, 300); });
at("files").addEventListener("change", openFile);
at("save").addEventListener("click", save);
at("run").addEventListener("click", run);
at("interrupt").addEventListener("click", () => ask("/api/v1/interrupt", {}, { method: "POST" }));
at("language").addEventListener("click", () => { words = WORDS[words.code]; label(); showRuns(); check(); });
label();
showRuns();
showFiles();
