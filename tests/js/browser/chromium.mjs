// Chromium as all tests want it: nothing that it does by itself goes over the network.
import { chromium } from "playwright-core";

const QUIET = [
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-gpu",
  "--disable-sync",
  "--no-first-run",
  "--no-proxy-server",
];

export function launch(executablePath, ...more) {
  return chromium.launch({ executablePath, args: [...QUIET, ...more] });
}
