// Bundles the page into dist/: index.html, and assets/ with the script, the style and the coastlines. `--tests` bundles the tests instead.
import { build, context } from "esbuild";
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";

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
  // Separate files, not part of the script: the fine coastlines are loaded only when the map is zoomed in.
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
    metafile: true,
    logLevel: "warning",
  };
  if (options.has("--watch")) {
    await (await context(page)).watch();
  } else {
    const { metafile } = await build(page);
    await writeFile("dist/assets/licences.txt", await licences(Object.keys(metafile.inputs)));
  }
}

/** Returns the licences of all packages in the bundle, and of the coastlines. */
async function licences(inputs) {
  const packages = new Set(["world-atlas"]);
  for (const input of inputs) {
    const name = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1];
    if (name !== undefined) packages.add(name);
  }
  const texts = [...packages].sort().map(async (name) => {
    const files = (await readdir(`node_modules/${name}`)).filter((file) => /^licen[cs]e/i.test(file));
    if (files.length === 0) throw new Error(`${name} has no licence file`);
    return `${name}\n\n${await readFile(`node_modules/${name}/${files[0]}`, "utf8")}`;
  });
  return (await Promise.all(texts)).join("\n\n----\n\n");
}
