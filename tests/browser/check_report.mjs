// Prints one line per page, width and colour scheme; ends with 1 when axe finds anything,
// a page is wider than its screen, writes to the console or asks the network for something.
import { readFileSync, realpathSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import puppeteer from "puppeteer-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const screens = [375, 820, 1280].flatMap(width => [[width, "light"], [width, "dark"]]);
const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
let wrong = 0;
for (const page of process.argv.slice(2).map(name => realpathSync(name))) {
  for (const [width, scheme] of screens) {
    const tab = await browser.newPage();
    const noises = [];
    tab.on("console", message => noises.push(message.text()));
    tab.on("request", request => request.url().startsWith("file:") || noises.push(request.url()));
    await tab.setViewport({ width, height: 900 });
    await tab.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    await tab.goto(pathToFileURL(page).href);
    await tab.$$eval("details", all => all.forEach(one => { one.open = true; }));
    const overflow = await tab.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    await tab.evaluate(axe);
    const { violations } = await tab.evaluate(() => globalThis.axe.run(document));
    const found = violations.map(one => `${one.impact} ${one.id} at ${one.nodes[0].target}`);
    if (overflow > 0) found.push(`${overflow} px too wide`);
    found.push(...noises);
    wrong += found.length;
    console.log(page.split("/").pop(), width, scheme, found.length ? found.join("; ") : "ok");
    await tab.close();
  }
}
await browser.close();
process.exit(wrong ? 1 : 0);
