#!/usr/bin/env node
// Builds a plugin: `pelton-build flag.js -o flag.wasm`. Bundles the module (it may import others, from packages too, and
// may be TypeScript) and puts it, with a JavaScript engine that lacks all features, into a component.
// The package preview2-shim is a dependency only because componentize-js imports it and does not say so.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { componentize } from "@bytecodealliance/componentize-js";
import { rolldown } from "rolldown";

const SDK = fileURLToPath(new URL("src/index.js", import.meta.url));
const WIT = fileURLToPath(new URL("../../wit/v0.1", import.meta.url));
/** The names that a plugin exports its role by. */
const ROLES = ["handler", "projector"];
/** A guest is pure: what these features import, the host does not give. */
const NO_FEATURES = ["random", "stdio", "clocks", "http", "fetch-event"];

const options = { output: { type: "string", short: "o" } };
const { positionals, values } = parseArgs({ allowPositionals: true, options });
if (positionals.length !== 1 || !values.output) {
  console.error("usage: pelton-build MODULE.js -o PLUGIN.wasm");
  process.exit(2);
}
await build(positionals[0], values.output);

async function build(module, output) {
  console.error(`building ${output} from ${module}: it takes some seconds`);
  const { code, exports } = await bundle(module);
  const roles = ROLES.filter((role) => exports.includes(role));
  if (roles.length !== 1) {
    const wish = "`export const handler = handle(...)` or `export const projector = project(...)`";
    throw new Error(`${module} exports ${roles.length ? roles.join(" and ") : "no role"}: it must have one, ${wish}`);
  }
  const folder = await mkdtemp(join(tmpdir(), "pelton-"));
  try {
    const sourcePath = join(folder, "plugin.js");
    await writeFile(sourcePath, code);
    const { component } = await componentize({
      sourcePath, witPath: WIT, worldName: `${roles[0]}-plugin`, disableFeatures: NO_FEATURES,
    });
    await writeFile(output, component);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The module and all that it imports, as one; the host's own interfaces stay imports. */
async function bundle(input) {
  const bundle = await rolldown({ input, external: /^pelton:/, resolve: { alias: { "pelton-sdk": SDK } } });
  const { output } = await bundle.generate({ format: "esm", codeSplitting: false });
  await bundle.close();
  return output[0];
}
