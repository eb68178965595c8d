// Holds the samples to the schemas of Metriport's own SDK: prints JSON, by sample its sha256, the verdict, and the paths
// of fields that the schema does not have and drops. No part of CI, which holds the samples to what was printed last.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import sdk from "@metriport/api-sdk";

const folder = fileURLToPath(new URL("../../models/samples/", import.meta.url));

function* dropped(sent, kept, path) {
  if (sent === null || typeof sent !== "object" || sent === kept) return;
  for (const [name, value] of Object.entries(sent)) {
    const at = Array.isArray(sent) ? `${path}[]` : path ? `${path}.${name}` : name;
    if (kept === undefined || !(name in kept)) yield at;
    else yield* dropped(value, kept[name], at);
  }
}

const found = {};
for (const file of readdirSync(folder).filter((name) => name.endsWith(".json")).sort()) {
  const raw = readFileSync(folder + file);
  const sample = JSON.parse(raw);
  const parsed = sdk.MetriportMedicalApi.parseWebhookResponse(sample, false);
  const refused = parsed instanceof sdk.WebhookRequestParsingFailure;
  found[file.replace(/\.json$/, "")] = {
    sha256: createHash("sha256").update(raw).digest("hex"),
    verdict: refused ? "refused" : "accepted",
    dropped: refused ? [] : [...new Set(dropped(sample, parsed, ""))].sort(),
  };
}
console.log(JSON.stringify(found, null, 2));
