// Modules: what runs, how fast and how far behind; and one module with its lanes.

import { h, fill, spark, count, rate, span } from "./dom.js";
import { get, post, part } from "./host.js";
import { counted, followHosts, hostsOf, knowing, lagBy, owners, pause } from "./hosts.js";
import { acting, empty, facts, heading, links, loading, mayNot, pill, say, table } from "./parts.js";

/** How fast a count grows, over the last ten seconds. */
function speed(past, name) {
  if (past.length < 2) return null;
  const last = past.at(-1);
  const before = past.at(-Math.min(past.length, 6));
  return last.time > before.time ? (last[name] - before[name]) / (last.time - before.time) : null;
}

/** The speeds between one answer and the next. */
const speeds = (past, name) => past.slice(1).map((now, at) => Math.max(0, now[name] - past[at][name]) / Math.max(0.1, now.time - past[at].time));

/** What a module does, in a word. */
export function stateOf({ record, phase, counts }) {
  if (phase === "running" && counts?.breaker_open) return "waiting";
  if (phase) return phase;
  return typeof record.state === "string" ? `${record.state}, not here` : "halted";
}

const why = ({ record, why: reason, counts, phase }) =>
  reason ?? (typeof record.state === "object" ? record.state.halted : null)
  ?? (phase === "running" && counts?.breaker_open ? "its inputs fail in a row: the breaker lets one through now and then" : null);

function lagOf({ record, counts, covered }, hosts) {
  // A host that has not all lanes may not be the one that measures.
  const measured = counts && covered !== null ? counts : lagBy(hosts ?? [], record.module);
  if (!measured) return h("span", { class: "soft" }, "unknown");
  if (measured.lag === 0) return h("span", { class: "soft" }, "none");
  return h("span", {}, count(measured.lag), h("small", {}, ` ${span(measured.lag_seconds)}`));
}

export async function modules({ main, state, signal }) {
  const body = h("div", {});
  fill(main, heading("Modules"), body);
  if (!state.modules) fill(body, loading("modules"));
  const watcher = (answer) => {
    if (!answer) return;
    if (!answer.modules.length) {
      fill(body, empty("No modules", "None was deployed yet: add one to the config, and start the host again."));
      return;
    }
    keepFocus(body, () => fill(body, trouble(answer.reasons), list(answer.modules, state.history, state.hosts), summary(answer, state.hosts)));
  };
  state.watch(watcher, signal);
  if (!state.modules) await state.refresh();
  followHosts((all) => { state.hosts = all; watcher(state.modules); }, signal, true);
}

/** Draws anew, and leaves the focus on the link where it was. */
function keepFocus(body, draw) {
  const focused = body.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  draw();
  if (focused) [...body.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused)?.focus({ preventScroll: true });
}

function trouble(reasons) {
  if (!reasons.length) return null;
  return h("ul", { class: "trouble" }, reasons.map(({ what, module: of, reason }) =>
    h("li", {}, of ? links.module(of) : h("b", {}, what), ` ${reason}`)));
}

function list(all, history, hosts) {
  const columns = [["Module", "first"], ["State", ""], ["Hosts", "number"], ["Inputs/s", "number"], ["", "chart"], ["Events/s", "number"],
    ["Writes/s", "number"], ["Lag", "number"], ["Failures", "number"], ["Dead letters", "number"]];
  return table("Modules with state, rates and lag", columns, all.map((one) => {
    const { record, counts } = one;
    const past = history.get(record.module) ?? [];
    return [
      [links.module(record.module), h("small", {}, `${record.stream}${record.filters.length ? ` ${record.filters.join(", ")}` : ""}`)],
      pill(stateOf(one)),
      hosts ? counted(hosts, record.module) : "–",
      rate(speed(past, "inputs")), past.length > 2 ? spark(speeds(past, "inputs")) : "", rate(speed(past, "events")),
      rate(speed(past, "writes")), lagOf(one, hosts), count(counts?.failures),
      counts?.dead_letters ? h("a", { href: `#/dead-letters?module=${part(record.module)}` }, count(counts.dead_letters)) : count(counts?.dead_letters),
    ];
  }));
}

const OWN = "Rates and counts are those of the host that serves this page.";

function summary({ modules: all, commits }, hosts) {
  const sum = (name) => all.reduce((total, { counts }) => total + (counts?.[name] ?? 0), 0);
  const odd = Object.entries(commits).filter(([name, number]) => name !== "committed" && number > 0);
  return h("p", { class: "soft note" },
    `Since this host started: ${count(sum("inputs"))} inputs, ${count(sum("events"))} events and ${count(sum("writes"))} view writes in ${count(commits.committed)} commits`,
    odd.map(([name, number]) => `, ${count(number)} ${name}`), ".", hosts?.length > 1 && ` ${OWN}`);
}

export async function module({ main, state, signal }, name) {
  const live = h("div", {}, loading(`module ${name}`));
  const lanes = h("div", {});
  const hosts = h("div", {}, h("h2", {}, "Hosts"), loading("hosts"));
  const buttons = h("div", { class: "buttons" });
  fill(main, h("p", { class: "crumb" }, h("a", { href: "#/modules" }, "Modules")), heading(name, buttons), live, mayNot(state.app), hosts, lanes);
  const found = await get(`/modules/${part(name)}`, {}, signal);
  let drawn = null;
  state.watch((answer) => {
    const one = answer?.modules.find(({ record }) => record.module === name);
    if (!one) return;
    // Not drawn anew each time, since somebody may be about to press it. What it does hangs on the record alone.
    if (drawn !== runs(one)) {
      drawn = runs(one);
      fill(buttons, action(one, state));
    }
    keepFocus(live, () => fill(live, about(one, state.history.get(name) ?? [], state.hosts)));
  }, signal);
  if (!state.modules) await state.refresh();
  const known = { checkpoints: found.checkpoints, hosts: [] };
  const draw = () => keepFocus(lanes, () => fill(lanes, h("h2", {}, "Lanes"), laneTable(known.checkpoints, owners(known.hosts, name))));
  draw();
  let last = "";
  followHosts((all) => {
    const record = state.modules?.modules.find(({ record: of }) => of.module === name)?.record;
    const shown = JSON.stringify([all.map(({ modules: its, host }) => [host, its]), record?.lanes]);
    if (record && shown !== last) {
      last = shown;
      known.hosts = all;
      state.hosts = all;
      fill(hosts, h("h2", {}, "Hosts"), hostsOf(all, record));
      draw();
    }
  }, signal, true);
  followLanes(name, (checkpoints) => { known.checkpoints = checkpoints; draw(); }, signal);
}

/** Gives `take` the checkpoints every five seconds until `signal`. */
async function followLanes(name, take, signal) {
  while (await pause(5000, signal)) {
    const found = await get(`/modules/${part(name)}`, {}, signal).catch(() => null);
    if (found) take(found.checkpoints);
  }
}

/** Whether it is meant to run, here or elsewhere. */
const runs = ({ record }) => record.state === "running";

function action(one, state) {
  const { module: name } = one.record;
  const act = (verb, done) => async () => {
    await post(`/api/modules/${part(name)}/${verb}`);
    say(`Module ${name} ${done}`);
    await state.refresh();
  };
  return runs(one)
    ? acting("Pause", state.app.acts, act("pause", "is paused"))
    : acting("Resume", state.app.acts, act("resume", "goes on"), "main");
}

function about(one, past, hosts) {
  const { record, counts, emits, covered } = one;
  const names = (list, link) => (list?.length ? list.map((name, at) => [at ? ", " : "", link(name)]) : "none");
  const tile = (title, number, small, chart) => h("div", { class: "tile" }, h("span", {}, title), h("b", {}, number), h("small", {}, small ?? ""), chart);
  const per = (name) => spark(speeds(past, name), 120, 26);
  const reason = why(one);
  const shared = knowing(hosts ?? [], record.module).filter(({ phase }) => phase === "running").length > 1;
  const done = covered !== null ? `done up to ${count(covered)}` : shared ? "on several hosts" : one.phase === "running" ? "not all lanes are here" : "does not run here";
  return [
    reason && h("p", { class: "trouble", role: "alert" }, reason),
    h("div", { class: "tiles" },
      tile("State", pill(stateOf(one)), done),
      tile("Inputs/s", rate(speed(past, "inputs")), `${count(counts?.inputs)} in all`, per("inputs")),
      tile("Events/s", rate(speed(past, "events")), `${count(counts?.events)} in all`, per("events")),
      tile("View writes/s", rate(speed(past, "writes")), `${count(counts?.writes)} in all`, per("writes")),
      tile("Lag", lagOf(one, hosts), `${count(counts?.waiting)} read and waiting`),
      tile("Failures", count(counts?.failures), `${count(counts?.retries)} tried again`),
      tile("Dead letters", h("a", { href: `#/dead-letters?module=${part(record.module)}` }, count(counts?.dead_letters)), `${count(counts?.replays)} replayed`)),
    shared && h("p", { class: "soft note" }, OWN),
    facts([
      ["Input", [h("span", { class: "mono" }, record.stream), ` ${record.filters.join(", ") || "(all subjects)"}`]],
      ["Key", h("span", { class: "mono" }, typeof record.key === "string" ? record.key : JSON.stringify(record.key))],
      ["Views", names(record.views, links.view)],
      ["Emits", emits ? emits.join(", ") || "nothing" : "unknown here"],
      ["Plugin", h("span", { class: "mono wrap" }, record.plugin)],
      ["Feed", h("a", { href: `#/feed?module=${part(record.module)}` }, "what it does now")],
    ]),
  ];
}

function laneTable(checkpoints, owners) {
  if (!checkpoints.length) return empty("No checkpoints", "The module has not run yet.");
  const columns = [["Lane", "number first"], ["Last input", "number"], ["Done up to", "number"], ["Owners so far", "number"], ["Host", "mono whole"]];
  return table("Lanes with their checkpoints", columns, checkpoints.map(({ position, covered, epoch, stream }, lane) =>
    [count(lane), position ? links.event(stream, position, count(position)) : "–", count(covered), count(epoch), owners.get(lane) ?? "–"]));
}
