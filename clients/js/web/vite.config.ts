// The build is shipped in the Python package, and a test builds it again and compares: names without hashes, no source maps, nothing
// of the machine it is made on.
import { defineConfig } from "vite";

const HUB = "http://127.0.0.1:8000";

export default defineConfig({
  resolve: {
    alias: { "hub-client": new URL("../src/index.ts", import.meta.url).pathname },
    dedupe: ["@msgpack/msgpack"], // ours, so that our lock alone says what is built
  },
  build: {
    outDir: "../../../hub/web",
    emptyOutDir: true,
    target: ["chrome123", "firefox128", "safari17.5"],
    modulePreload: false,
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    rolldownOptions: {
      output: {
        entryFileNames: "page/app.js",
        chunkFileNames: "page/[name].js",
        assetFileNames: "page/app[extname]",
      },
    },
  },
  // `npm run dev`: the pages from here, everything else from a `hub dev`.
  server: {
    proxy: {
      "/api": { target: HUB, ws: true },
      "/dev": HUB,
      "/assistant": HUB,
    },
  },
});
