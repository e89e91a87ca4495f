// Bundles the page into dist/: index.html, and assets/ with the script, the style and the coastlines. `--tests` bundles the tests instead.
import { build, context } from "esbuild";
import { cp, mkdir, readdir, rm } from "node:fs/promises";

const options = new Set(process.argv.slice(2));

if (options.has("--tests")) {
  await rm("build-tests", { recursive: true, force: true });
  const tests = (await readdir("test")).filter((name) => name.endsWith(".test.ts"));
  await build({
    entryPoints: tests.map((name) => `test/${name}`),
    outdir: "build-tests",
    outExtension: { ".js": ".mjs" },
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node18",
  });
} else {
  await rm("dist", { recursive: true, force: true });
  await mkdir("dist/assets", { recursive: true });
  await cp("index.html", "dist/index.html");
  await cp("icon.svg", "dist/assets/icon.svg");
  // Files of their own, not in the script: the fine one is fetched only when somebody zooms in.
  await cp("node_modules/world-atlas/land-110m.json", "dist/assets/land-110m.json");
  await cp("node_modules/world-atlas/land-50m.json", "dist/assets/land-50m.json");
  const page = {
    entryPoints: { page: "src/main.ts", style: "style/page.css" },
    outdir: "dist/assets",
    bundle: true,
    minify: true,
    sourcemap: true,
    format: "esm",
    target: ["es2022", "chrome109", "firefox115", "safari16"],
    legalComments: "linked",
    logLevel: "warning",
  };
  if (options.has("--watch")) {
    await (await context(page)).watch();
  } else {
    await build(page);
  }
}
