// Makes one script of a page, as an application's build does: `node bundle.mjs <version of convex> <file> [page]`, page.jsx unless said.
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const [version, file, page = "page.jsx"] = process.argv.slice(2);
await build({
  entryPoints: [page],
  absWorkingDir: fileURLToPath(new URL(".", import.meta.url)), // where the alias is looked up
  outfile: file,
  bundle: true,
  format: "esm",
  jsx: "automatic",
  alias: { convex: `convex-${version}` },
  define: { "process.env.NODE_ENV": '"production"' },
  logLevel: "warning",
});
