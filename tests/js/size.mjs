// How large a part of `hub-client` is in a browser: `node size.mjs <import statement> [external]`, as JSON on stdout.
// Minified by esbuild and gzipped, with the MessagePack library and without it.
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

import { build } from "esbuild";

const PACKAGE = fileURLToPath(new URL("../../clients/js/", import.meta.url));

async function size(names, external) {
  const contents = `import { ${names} } from "./dist/index.js"; globalThis.used = [${names}];`;
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: PACKAGE },
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    write: false,
    logLevel: "error",
    external,
  });
  return gzipSync(outputFiles[0].contents, { level: 9 }).byteLength;
}

const [names] = process.argv.slice(2);
const whole = await size(names, []);
process.stdout.write(JSON.stringify({ whole, withoutMessagePack: await size(names, ["@msgpack/msgpack"]) }));
