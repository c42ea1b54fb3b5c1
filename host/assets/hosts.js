// Hosts: who runs the app, which lanes of which modules each has, and how often lanes changed hands.

import { h, fill, bands, count, span } from "./dom.js";
import { get, Problem } from "./host.js";
import { empty, heading, links, loading, pill, table } from "./parts.js";

const EVERY = 5000;

/** The numbers in ranges like 0-3,7. */
export function lanesOf(ranges) {
  return ranges.split(",").filter(Boolean).flatMap((range) => {
    const [from, to = from] = range.split("-").map(Number);
    return Array.from({ length: to - from + 1 }, (_, at) => from + at);
  });
}

/** Ranges as they are read: 0–3, 7. */
const read = (ranges) => ranges.replaceAll("-", "–").replaceAll(",", ", ");

/**
 * Gives `take` what the hosts say, now and every five seconds while someone looks, until `signal`. If they cannot be asked
 * at first, that is thrown, or the `patient` ask again.
 */
export async function followHosts(take, signal, patient = false) {
  let known = false;
  while (!signal.aborted) {
    if (!document.hidden || !known) {
      try {
        const answer = await get("/api/hosts", {}, signal);
        known = true;
        take(answer.hosts);
      } catch (problem) {
        if (signal.aborted) return;
        // What was seen stays; the banner says that the host is away.
        if (!(problem instanceof Problem) || !(known || patient)) throw problem;
      }
    }
    await pause(EVERY, signal);
  }
}

export const pause = (time, signal) => new Promise((next) => {
  const timer = setTimeout(() => next(true), time);
  signal.addEventListener("abort", () => { clearTimeout(timer); next(false); });
});

/** The hosts that know a module, each with what it does of it. */
export function knowing(hosts, module) {
  return hosts.flatMap((host) => host.modules.filter((one) => one.module === module).map((one) => ({ ...one, host: host.host, this: host.this })));
}

/** How far behind a module is, as the host says that measures it; null if none does. */
export const lagBy = (hosts, module) => knowing(hosts, module).find(({ lag }) => lag)?.lag ?? null;

/** How many hosts run a module, and how many would run something else. */
export function counted(hosts, module) {
  const all = knowing(hosts, module);
  const runs = all.filter(({ phase }) => phase === "running").length;
  const differ = all.filter(({ phase }) => phase === "differs").length;
  return [count(runs), differ ? h("small", { class: "bad" }, ` ${count(differ)} differ${differ === 1 ? "s" : ""}`) : null];
}

/** Who has which lane of a module. */
export function owners(hosts, module) {
  return new Map(knowing(hosts, module).flatMap(({ host, lanes }) => lanesOf(lanes).map((lane) => [lane, host])));
}

const name = ({ host, this: here }, colour = null) => [
  colour === null ? null : h("span", { class: `swatch host-${colour % 6}`, "aria-hidden": "true" }),
  h("span", { class: "mono" }, host), here && h("small", {}, "serves this page")];
const upFor = ({ uptime }) => span(Math.round(uptime));
const state = ({ phase, why }) => [pill(phase), why && h("small", {}, why)];

/** The hosts of one module: what each does of it. */
export function hostsOf(hosts, { module, lanes }) {
  const all = knowing(hosts, module);
  if (!all.length) return empty("No host", "None that answers knows this module: start one, or look into its log.");
  const missing = lanes - owners(hosts, module).size;
  const columns = [["Host", "first"], ["State", "half"], ["Lanes", "number"], ["Which", "half"], ["Taken over", "number"], ["Lost", "number"]];
  return [
    table("Hosts with their lanes", columns, all.map((one, at) => {
      const own = lanesOf(one.lanes).length;
      return [name(one, all.length > 1 ? at : null), state(one), `${count(own)} of ${count(lanes)}`, h("span", { class: "mono" }, read(one.lanes) || "–"), count(one.taken), count(one.lost)];
    })),
    all.length > 1 && bands(Array.from({ length: lanes }, (_, lane) => all.findIndex((one) => lanesOf(one.lanes).includes(lane)))),
    missing > 0 && all.some(({ phase }) => phase === "running")
      ? h("p", { class: "soft note" }, `${count(missing)} of the lanes ${missing === 1 ? "is" : "are"} nobody’s at the moment.`) : null,
  ];
}

function fares(host) {
  if (host.waits) return [pill("waiting"), h("small", {}, host.waits)];
  const differs = host.modules.some(({ phase }) => phase === "differs");
  const halted = host.modules.some(({ phase }) => phase === "halted");
  return pill(halted ? "halted" : differs ? "differs" : "running");
}

function summary(hosts) {
  const sum = (host, of) => host.modules.reduce((total, one) => total + of(one), 0);
  const columns = [["Host", "first"], ["State", "half"], ["Up for", "number half"], ["Version", ""], ["Modules", "number"], ["Lanes", "number"], ["Taken over", "number"], ["Lost", "number"]];
  return table("Hosts of the app", columns, hosts.map((host) => [
    name(host), fares(host), upFor(host), host.version, count(host.modules.filter(({ phase }) => phase === "running").length),
    count(sum(host, ({ lanes }) => lanesOf(lanes).length)), count(sum(host, ({ taken }) => taken)), count(sum(host, ({ lost }) => lost)),
  ]));
}

export async function hosts({ main, state: app, signal }) {
  const body = h("div", {}, loading("hosts"));
  const number = h("span", { class: "soft" });
  fill(main, heading("Hosts", number), body);
  let drawn = "";
  await new Promise((shown, failed) => {
    followHosts((all) => {
      number.textContent = all.length === 1 ? "1 answers" : `${count(all.length)} answer`;
      const records = (app.modules?.modules ?? []).map(({ record }) => record);
      // What nobody changed is not drawn anew, so that whoever reads or has the focus in it stays where they are.
      const now = JSON.stringify([all.map(({ uptime, ...rest }) => [rest, upFor({ uptime })]), records.map(({ module, lanes }) => [module, lanes])]);
      if (now !== drawn) {
        drawn = now;
        fill(body, summary(all), h("p", { class: "soft note" }, "Taken over and lost: lanes, since the host started. Many that are lost mean that hosts take lanes from each other."),
          records.map((record) => [h("h2", {}, links.module(record.module)), hostsOf(all, record)]));
      }
      shown();
    }, signal).then(shown, failed);
  });
}
