// The local page in Debian's chromium: lists runs, opens a report, checks what is typed, saves, runs with its progress.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

const { chromium } = createRequire(join(process.env.BROWSER_MODULES, "package.json"))("playwright-core");
const binary = process.env.FORETOKEN_BINARY;
const scenario = readFileSync(join(process.env.FORETOKEN_HOME, "scenarios", "r1-distill-llama-8b-a100.yaml"), "utf8");
const folder = mkdtempSync(join(tmpdir(), "foretoken-serve-"));

let browser, server, address;
before(async () => {
  writeFileSync(join(folder, "a.yaml"), scenario);
  spawnSync(binary, ["run", "a.yaml", "--out", "first", "--set", "name=<img src=x onerror=alert(1)>"], { cwd: folder });
  server = spawn(binary, ["serve", folder, "--allow-run", "--json"], { cwd: folder });
  address = JSON.parse(await new Promise((resolve) => { server.stdout.once("data", (data) => resolve(String(data))); }));
  browser = await chromium.launch({ executablePath: process.env.BROWSER_CHROMIUM, args: ["--no-sandbox", "--disable-gpu"] });
});
after(async () => {
  await browser.close();
  const ended = new Promise((resolve) => { server.once("exit", resolve); });
  server.kill("SIGINT");
  assert.equal(await ended, 0);
  rmSync(folder, { recursive: true });
});

async function open(width = 1280) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, locale: "en-US" });
  const page = await context.newPage();
  const problems = [];
  page.on("console", (message) => { if (["error", "warning"].includes(message.type()) && !/422/.test(message.text())) problems.push(message.text()); });
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("dialog", (dialog) => { problems.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  await page.goto(address.url);
  await page.waitForSelector("#runs table");
  return { page, problems, close: () => context.close() };
}

test("runs are listed, hostile names as text, and open", async () => {
  for (const width of [1280, 390]) {
    const { page, problems, close } = await open(width);
    assert.match(await page.locator("#runs").innerText(), /<img src=x/);
    assert.equal(await page.locator("#runs img").count(), 0);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    await page.click("#runs a");
    await page.waitForSelector("section#verdict");
    assert.deepEqual(problems, []);
    await close();
  }
});

test("problems show as one types", async () => {
  const { page, problems, close } = await open();
  await page.waitForSelector("#problems .good");
  await page.fill("#text", scenario.replace("parallel:", "paralel:"));
  await page.waitForSelector("#problems .bad");
  assert.match(await page.locator("#problems").innerText(), /a\.yaml:\d+:\d+: error: unknown key 'paralel'[^]*\^/);
  await page.fill("#text", scenario);
  await page.waitForSelector("#problems .good");
  assert.deepEqual(problems, []);
  await close();
});

test("save and run, in Chinese, and the run appears", async () => {
  const { page, problems, close } = await open();
  await page.click("#language");
  assert.equal(await page.locator("html").getAttribute("lang"), "zh-CN");
  await page.fill("#text", scenario.replace(/^name: .*$/m, "name: from the page"));
  await page.click("#run");
  await page.waitForFunction(() => document.getElementById("progress").innerText.includes("完成"), null, { timeout: 60_000 });
  assert.match(readFileSync(join(folder, "a.yaml"), "utf8"), /from the page/);
  await page.waitForFunction(() => document.getElementById("runs").innerText.includes("from the page"));
  await page.click("#progress a");
  await page.waitForSelector("section#verdict");
  assert.deepEqual(problems, []);
  await close();
});
