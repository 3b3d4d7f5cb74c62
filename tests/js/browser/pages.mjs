// Drives the hub's own pages in Chromium: `node pages.mjs <chromium> <axe>`, where <axe> is the file of axe-core.
//
// Reads one command a line on stdin, writes one event a line on stdout, in the order in which they happened. Ends, with the browser,
// when stdin does. Pages that are opened for the same person share their storage, as tabs of one browser do.
import { createInterface } from "node:readline";

import { launch } from "./chromium.mjs";

const [executablePath, axe] = process.argv.slice(2);
const TIMEOUT_MS = 15_000;
const emit = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);

const browser = await launch(executablePath);
const contexts = new Map();
const pages = new Map();

// In the page: tells every state of the room that was on the screen, also those that lasted for one frame only.
function tellScreens() {
  let told = "";
  const look = () => {
    const room = document.querySelector(".room");
    const screen = {
      title: room?.querySelector(".room-title")?.textContent ?? null,
      rows: [...document.querySelectorAll(".message :is(.bubble, .reply-body)")].map((row) => row.innerText.trim()),
      isEmpty: room === null || room.querySelector(".message, .greeting") === null,
    };
    const text = JSON.stringify(screen);
    if (text !== told) window.tell({ event: "screen", ...screen });
    told = text;
  };
  new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true });
}

function follow(name, page) {
  const tell = (event) => emit({ page: name, ...event });
  page.on("console", (said) => {
    if (["error", "warning"].includes(said.type())) tell({ event: "complaint", text: said.text() });
  });
  page.on("pageerror", (error) => tell({ event: "complaint", text: String(error) }));
  page.on("request", (request) => tell({ event: "request", url: request.url() }));
  return tell;
}

const at = ({ page, target }) => pages.get(page).locator(target);

const commands = {
  async open({ page: name, person, url, width = 1200, height = 800, isDark = false }) {
    const options = { viewport: { width, height }, colorScheme: isDark ? "dark" : "light", locale: "en-GB", reducedMotion: "reduce" };
    if (!contexts.has(person)) {
      const context = await browser.newContext(options);
      context.setDefaultTimeout(TIMEOUT_MS);
      contexts.set(person, context);
    }
    const page = await contexts.get(person).newPage();
    await page.exposeFunction("tell", follow(name, page));
    await page.addInitScript(tellScreens);
    await page.addInitScript({ path: axe });
    pages.set(name, page);
    return (await page.goto(url)).status();
  },
  async end() {
    await Promise.all([...contexts.values()].map((context) => context.close()));
    contexts.clear();
    pages.clear();
  },
  reload: ({ page }) => pages.get(page).reload(),
  resize: ({ page, width, height }) => pages.get(page).setViewportSize({ width, height }),
  colours: ({ page, isDark }) => pages.get(page).emulateMedia({ colorScheme: isDark ? "dark" : "light" }),
  click: (command) => at(command).click(),
  hover: (command) => at(command).hover(),
  fill: (command) => at(command).fill(command.text),
  choose: (command) => at(command).selectOption(command.text),
  press: ({ page, key }) => pages.get(page).keyboard.press(key),
  // Chromium scrolls some frames later: done is when it has, and stands still.
  async wheel(command) {
    const box = at(command);
    await box.hover();
    const from = await box.evaluate((element) => element.scrollTop);
    await pages.get(command.page).mouse.wheel(0, command.pixels);
    await box.evaluate(async (element, start) => {
      let last = start;
      for (let still = 0, frames = 0; still < 5 && frames < 120; frames += 1) {
        await new Promise(requestAnimationFrame);
        still = element.scrollTop === last && (last !== start || frames > 60) ? still + 1 : 0;
        last = element.scrollTop;
      }
    }, from);
  },
  wait: (command) => at(command).first().waitFor({ state: command.state }),
  texts: (command) => at(command).allInnerTexts(),
  value: (command) => at(command).inputValue(),
  // Somebody leaves the tab and comes back, until there is what they look for.
  async comeBackUntil(command) {
    const page = pages.get(command.page);
    for (const end = Date.now() + TIMEOUT_MS; !(await at(command).isVisible()); ) {
      if (Date.now() > end) throw new Error(`not there: ${command.target}`);
      await page.evaluate(() => window.dispatchEvent(new Event("focus")));
      await page.waitForTimeout(100);
    }
  },
  attribute: (command) => at(command).getAttribute(command.name),
  focusOn: (command) => at(command).focus(),
  focus: ({ page }) => pages.get(page).evaluate(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent),
  width: ({ page }) => pages.get(page).evaluate(() => document.documentElement.scrollWidth),
  place: (command) => at(command).first().evaluate((element) => element.getBoundingClientRect().top),
  style: (command) => at(command).first().evaluate((element, name) => getComputedStyle(element)[name], command.name),
  picture: ({ page, file }) => pages.get(page).screenshot({ path: file, animations: "disabled" }).then(() => null),
  async check({ page }) {
    const { violations } = await pages.get(page).evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join(" | ")}`);
  },
};

async function run({ id, op, ...rest }) {
  try {
    emit({ event: "done", id, value: (await commands[op](rest)) ?? null });
  } catch (error) {
    emit({ event: "failed", id, message: error.message, isConvexError: false });
  }
}

emit({ event: "started" });
for await (const line of createInterface({ input: process.stdin })) void run(JSON.parse(line));
await browser.close();
process.exit(0);
