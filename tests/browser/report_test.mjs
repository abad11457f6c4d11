// Opens the report in Debian's chromium: every section, both languages, wide and narrow, light and
// dark, on paper; no error, no request, no overflow. Called with the folder of make_report.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";

// playwright-core is installed in the build folder, not beside this file.
const { chromium } = createRequire(join(process.env.BROWSER_MODULES, "package.json"))("playwright-core");
const runs = process.env.BROWSER_RUNS;
// typical: what `run` writes. whole: what `report` makes of runs, a plan and a search for the load.
// network: pools on a shared fabric. experts: rebalanced expert ranks. traffic: a fabric alone.
const RUN = ["verdict", "slo", "latency", "cluster", "time", "memory", "cost", "energy", "trust", "reproduce"];
const SECTIONS = {
  typical: RUN, network: RUN, experts: RUN,
  traffic: ["verdict", "links", "waits", "trust", "reproduce"],
  whole: ["verdict", "choice", "slo", "load", "latency", "cluster", "time", "efficiency", "memory", "cost", "energy", "trust", "reproduce"],
};
const CHARTS = { typical: 15, network: 15, experts: 17, traffic: 1, whole: 23 };
const HEAT_MAPS = { network: 1, traffic: 1 };  // drawn without a canvas
const SIZES = { wide: { width: 1280, height: 900 }, narrow: { width: 390, height: 844 } };

let browser;
before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.BROWSER_CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync"],
  });
});
after(() => browser.close());

// A page with everything that went wrong on it.
async function open(run, { size = "wide", language = "en", dark = false } = {}) {
  const context = await browser.newContext({ viewport: SIZES[size], colorScheme: dark ? "dark" : "light", acceptDownloads: true });
  const page = await context.newPage();
  const problems = [];
  page.on("console", (message) => { if (["error", "warning"].includes(message.type())) problems.push(message.text()); });
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("dialog", (dialog) => { problems.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on("request", (request) => { if (!/^(file|blob|data):/.test(request.url())) problems.push(`request: ${request.url()}`); });
  await page.goto(`${pathToFileURL(join(runs, run, "report.html"))}?lang=${language}`);
  return { page, problems, close: () => context.close() };
}

// Canvases on which nothing was drawn.
const blankCanvases = (page) => page.evaluate(() => [...document.querySelectorAll("canvas")].filter((canvas) => {
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return !pixels.some((value, i) => i % 4 === 3 && value > 0);
}).map((canvas) => canvas.id));

for (const run of Object.keys(SECTIONS)) for (const size of Object.keys(SIZES)) {
  for (const language of ["en", "zh"]) {
    test(`every section, ${run}, ${size}, ${language}`, async () => {
      const { page, problems, close } = await open(run, { size, language });
      assert.deepEqual(await page.locator("main > section").evaluateAll((list) => list.map((s) => s.id)), SECTIONS[run]);
      for (const id of SECTIONS[run]) {
        await page.click(`nav a[href="#${id}"]`);
        const box = await page.locator(`section#${id} h2`).boundingBox();
        assert.ok(box.y >= 0 && box.y < SIZES[size].height, `${id} comes into view`);
        assert.ok((await page.locator(`section#${id}`).innerText()).length > 20, `${id} has content`);
      }
      const charts = await page.locator("canvas").count();
      assert.equal(charts, CHARTS[run]);
      assert.deepEqual(await blankCanvases(page), []);
      const labels = await page.locator("canvas").evaluateAll((list) => list.map((c) => c.getAttribute("aria-label")));
      assert.ok(labels.every((label) => label.length > 10 && !/undefined|NaN|null/.test(label)), labels.join("\n"));
      const text = await page.locator("body").innerText();
      assert.doesNotMatch(text, /undefined|NaN|\[object|Infinity/);
      assert.equal(/[\u4e00-\u9fff]/.test(await page.locator("main").innerText()), language === "zh");
      if (language === "zh")
        for (const basis of await page.locator("#trust table").first().locator("tbody td:nth-child(6)").allInnerTexts()) assert.match(basis, /[\u4e00-\u9fff]/);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(overflow <= 0, `page is ${overflow} px wider than the window`);
      assert.deepEqual(problems, []);
      await close();
    });
  }
}

test("language and theme switch in place, by keyboard", async () => {
  const { page, problems, close } = await open("typical");
  assert.equal(await page.locator("html").getAttribute("lang"), "en");
  await page.focus("#language");
  await page.keyboard.press("Enter");
  assert.equal(await page.locator("html").getAttribute("lang"), "zh-CN");
  assert.match(await page.locator("#verdict").innerText(), /未满足 SLO/);
  const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await paper();
  await page.focus("#theme");
  await page.keyboard.press("Enter");
  assert.notEqual(await paper(), light);
  assert.deepEqual(await blankCanvases(page), []);
  assert.deepEqual(problems, []);
  await close();
});

test("keyboard reaches the content past a skip link", async () => {
  const { page, close } = await open("typical");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute("href")), "#verdict");
  await close();
});

test("text stands out from its background in both themes", async () => {
  for (const dark of [false, true]) {
    const { page, close } = await open("typical", { dark });
    const low = await page.evaluate(() => {
      const parse = (colour) => colour.match(/[\d.]+/g).slice(0, 3).map((v) => {
        const c = Number(v) / 255;
        return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
      });
      const luminance = (colour) => { const [r, g, b] = parse(colour); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
      const ground = (node) => {
        for (let n = node; n; n = n.parentElement) {
          const colour = getComputedStyle(n).backgroundColor;
          if (!/^rgba\(.*, 0\)$/.test(colour)) return colour;
        }
        return "rgb(255, 255, 255)";
      };
      // WCAG 2.1, contrast (minimum): 4.5 to 1.
      return [...document.querySelectorAll("h1,h2,h3,p,td,th,a,button,.badge,.mark")].filter((n) => n.textContent.trim()).map((n) => {
        const [a, b] = [luminance(getComputedStyle(n).color), luminance(ground(n))].sort((x, y) => y - x);
        return { text: n.textContent.slice(0, 30), ratio: (a + 0.05) / (b + 0.05) };
      }).filter((n) => n.ratio < 4.5);
    });
    assert.deepEqual(low, []);
    await close();
  }
});

// On a busy machine chromium now and then loses a download that was clicked for; a person clicks again.
async function downloadOf(page, selector) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const [download] = await Promise.all([page.waitForEvent("download", { timeout: 10_000 }), page.click(selector)]);
      return download;
    } catch (error) {
      if (attempt === 3) throw error;
    }
  }
}

for (const run of Object.keys(SECTIONS)) test(`each chart hands out its data as CSV, ${run}`, async () => {
  const { page, problems, close } = await open(run);
  const ids = await page.locator("[data-csv]").evaluateAll((list) => list.map((b) => b.dataset.csv));
  assert.equal(new Set(ids).size, CHARTS[run] + (HEAT_MAPS[run] || 0));
  for (const id of ids) {
    const download = await downloadOf(page, `[data-csv="${id}"]`);
    assert.equal(download.suggestedFilename(), `${id}.csv`);
    const rows = readFileSync(await download.path(), "utf8").trim().split("\r\n");
    assert.ok(rows.length >= 2, `${id} has rows`);
    assert.ok(rows.every((row) => row.split(",").length >= 2 && !/undefined|NaN/.test(row)), id);
  }
  assert.deepEqual(problems, []);
  await close();
});

// What the page computes, against what the simulator did: [output, total, hour] in CNY.
const shownCosts = (page) => page.locator("#cost-figures tbody tr td:nth-child(2)").allInnerTexts();
const runCosts = (page) => page.evaluate(() => {
  const { cost } = JSON.parse(document.getElementById("data").textContent).summary;
  return [cost.per_million_output_tokens, cost.per_million_total_tokens, cost.per_hour].map((v) => v.cny);
});
const value = (text) => Number(text.replaceAll(",", ""));

for (const run of ["typical", "hostile"]) {
  test(`what if: the page's formula is the simulator's (${run})`, async () => {
    const { page, problems, close } = await open(run);
    const shown = (await shownCosts(page)).map(value);
    const real = await runCosts(page);
    for (let i = 0; i < 3; i += 1) assert.ok(Math.abs(shown[i] / real[i] - 1) < 0.01, `${shown[i]} is ${real[i]}`);
    assert.deepEqual(problems, []);
    await close();
  });
}

test("what if: prices in the page change the figures and come back", async () => {
  const { page, problems, close } = await open("typical");
  const before = await shownCosts(page);
  const lines = await page.evaluate(() => JSON.parse(document.getElementById("data").textContent).summary.cost.per_hour_lines);
  await page.fill("#price-node", "5000000");  // hardware and maintenance double, electricity stays
  const hour = 2 * (lines[0].cny + lines[1].cny) + lines[2].cny;
  assert.ok(Math.abs(value((await shownCosts(page))[2]) / hour - 1) < 0.001);
  assert.match(await page.locator("#cost").innerText(), /not the run/);
  await page.fill("#price-pue", "0.5");  // below 1: refused, the figures stay
  assert.ok(Math.abs(value((await shownCosts(page))[2]) / hour - 1) < 0.001);
  await page.click("#cost button:has-text('Back to the run')");
  assert.deepEqual(await shownCosts(page), before);
  assert.deepEqual(await blankCanvases(page), []);
  assert.deepEqual(problems, []);
  await close();
});

for (const run of Object.keys(HEAT_MAPS)) for (const dark of [false, true])
  test(`links over time: colours follow use, keys and pointer read it, ${run}, ${dark ? "dark" : "light"}`, async () => {
    const { page, problems, close } = await open(run, { dark });
    const { heat, drawn } = await page.evaluate(() => ({
      heat: JSON.parse(document.getElementById("data").textContent).network,
      drawn: [...document.querySelectorAll(".strip")].map((strip) => [...strip.querySelectorAll(".heat")].map((cell) => [Number(cell.getAttribute("x")), Number(cell.getAttribute("fill-opacity")), cell.getBoundingClientRect().width])),
    }));
    assert.ok(heat.links.length > 4 && heat.links.length <= 16);
    assert.equal(drawn.length, heat.links.length);
    heat.links.forEach((link, i) => {
      const busy = link.use.map((use, k) => [use, k]).filter(([use]) => use > 0);
      assert.deepEqual(drawn[i].map(([x]) => x), busy.map(([, k]) => k));
      drawn[i].forEach(([, opacity, width], j) => {
        assert.ok(Math.abs(opacity - Math.sqrt(busy[j][0])) < 0.006);
        assert.ok(width > 0.5, `${width} px`);
      });
    });
    assert.ok(heat.links.every((link, i) => i === 0 || heat.links[i - 1].waiting_s >= link.waiting_s));
    const readout = () => page.locator(".readout").innerText();
    await page.focus('.strip[data-row="0"]');
    const first = await readout();
    assert.ok(first.startsWith(`${heat.links[0].from} → ${heat.links[0].to}, 0`), first);
    await page.keyboard.press("ArrowRight");
    assert.notEqual(await readout(), first);
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("End");
    assert.ok((await readout()).startsWith(`${heat.links[1].from} → ${heat.links[1].to}`));
    const focused = page.locator(".strip:focus");
    assert.equal(await focused.getAttribute("data-row"), "1");
    assert.equal(await focused.getAttribute("aria-valuetext"), await readout());
    assert.equal(await page.locator('.strip[tabindex="0"]').count(), 1);
    await page.locator('.strip[data-row="2"]').hover();
    assert.ok((await readout()).startsWith(`${heat.links[2].from} → ${heat.links[2].to}`));
    // Nothing but the numbers carries a link's figures on paper and for those who see no colour.
    const numbers = await page.locator(".heatmap tbody tr").first().locator("td.number").allInnerTexts();
    assert.ok(numbers.length === 3 && numbers.every((text) => /\d/.test(text)), numbers.join());
    assert.deepEqual(problems, []);
    await close();
  });

test("load of expert ranks: before and after rebalancing, and what it rests on", async () => {
  const { page, problems, close } = await open("experts");
  const [pool] = await page.evaluate(() => JSON.parse(document.getElementById("data").textContent).experts);
  assert.ok(pool.mean_busiest > 1 && pool.mean_busiest < pool.mean_by_chance);
  const title = await page.locator("#figure-experts h3").innerText();
  assert.ok(title.startsWith("Rebalanced, the busiest of 72 expert ranks") && title.includes(pool.mean_busiest.toFixed(2)) && title.includes(pool.mean_by_chance.toFixed(2)), title);
  assert.match(await page.locator("#cluster").innerText(), /Assumed, not measured.*exponent 0.90.*32 redundant copies.*5\.0\s%/s);
  assert.deepEqual(problems, []);
  await close();
});

test("trust: what was checked, by the commands or their results", async () => {
  const plain = await open("typical");
  assert.match(await plain.page.locator("#trust").innerText(), /foretoken validate cases --json/);
  await plain.close();
  for (const language of ["en", "zh"]) {
    const { page, problems, close } = await open("whole", { language });
    const text = await page.locator("#trust").innerText();
    for (const words of language === "en" ? ["1 of 1 published cases", "7B at FP16 needs about 14 GB", "off by 4.1 times"] : ["1 个公开案例中 1 个在限度之内", "7B 模型 FP16 推理约需 14 GB", "相差 4.1 倍"])
      assert.ok(text.includes(words), words);
    assert.deepEqual(problems, []);
    await close();
  }
});

test("the table of assumptions filters", async () => {
  const { page, close } = await open("typical");
  await page.fill("#trust input[type=search]", "replicas");
  const shown = await page.locator("#trust .tall tbody tr:visible").allInnerTexts();
  assert.equal(shown.length, 1);
  assert.match(shown[0], /deployment\.replicas/);
  await close();
});

test("the choice names what it compares, and what the plan found", async () => {
  const { page, problems, close } = await open("whole");
  const text = await page.locator("#choice").innerText();
  for (const words of ["The same on an H100", "Near misses", "Inputs that differ", "by API", "holds up to"]) assert.ok(text.includes(words), words);
  assert.match(await page.locator("#load").innerText(), /Serves up to [\d.]+ requests\/s within its SLO/);
  assert.match(await page.locator("#trust").innerText(), /independent seeds/);
  assert.deepEqual(problems, []);
  await close();
});

test("the tornado follows a price changed in the page", async () => {
  const { page, problems, close } = await open("typical");
  const before = await page.locator("#figure-tornado h3").innerText();
  await page.fill("#price-node", "9000000");
  assert.notEqual(await page.locator("#figure-tornado h3").innerText(), before);
  assert.deepEqual(await blankCanvases(page), []);
  assert.deepEqual(problems, []);
  await close();
});

test("no report is above 1.5 MB", async () => {
  for (const run of Object.keys(SECTIONS)) assert.ok(readFileSync(join(runs, run, "report.html")).length <= 1_500_000, run);
});

test("hostile strings stay text", async () => {
  const { page, problems, close } = await open("hostile");
  assert.equal(await page.locator("h1").innerText(), "</script><script>alert(1)</script><img src=x onerror=alert(2)>");
  assert.equal(await page.locator("main img, main svg, main script, main b").count(), 0);
  assert.equal(await page.locator("script").count(), 3);
  assert.deepEqual(problems, []);
  await close();
});

test("a run without requests still makes a readable page", async () => {
  const { page, problems, close } = await open("empty");
  assert.doesNotMatch(await page.locator("body").innerText(), /undefined|NaN|Infinity/);
  assert.deepEqual(problems, []);
  await close();
});

test("paper: A4 pages, light even from a dark screen, and back to dark after", async () => {
  const { page, problems, close } = await open("typical", { dark: true });
  const pdf = await page.pdf({ preferCSSPageSize: true, printBackground: true });
  assert.ok(pdf.length > 20_000);
  const pages = pdf.toString("latin1").match(/\/Type\s*\/Page\b/g).length;
  assert.ok(pages >= 3 && pages <= 16, `${pages} pages`);
  assert.match(pdf.toString("latin1"), /\/MediaBox \[0 0 59[45](\.\d+)? 84[12](\.\d+)?\]/);
  assert.deepEqual(problems, []);
  await close();
});

test("without scripts the answer is still there", async () => {
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(String(pathToFileURL(join(runs, "typical", "report.html"))));
  assert.match(await page.locator("body").innerText(), /Misses the SLO: ttft\.p99/);
  await context.close();
});

test("first paint is reported (a figure, not a limit: machines differ)", async () => {
  const { page, close } = await open("typical");
  const entry = () => performance.getEntriesByName("first-contentful-paint")[0]?.startTime;
  const paint = await (await page.waitForFunction(entry)).jsonValue();
  console.log(`first contentful paint: ${Math.round(paint)} ms`);
  assert.ok(paint > 0);
  await close();
});
