// Dead letters: to look at, to replay and to discard.

import { h, fill, count, moment } from "./dom.js";
import { get, part, post, query } from "./host.js";
import { acting, confirm, empty, facts, field, heading, links, loading, mayNot, pill, say, select, shown, table } from "./parts.js";

const CAUSES = [
  "reject", "retry", "trap", "limit", "timeout", "decode", "key", "effects", "size", "crash", "parked", "gap",
];
const FILTERS = ["module", "cause", "message", "key"];

const path = ({ module, lane, sequence }) => `/api/dead-letters/${part(module)}/${lane}/${sequence}`;

/** What came of a replay, in words. */
function outcome(answer) {
  if (answer.outcome === "replayed") return `replayed: ${count(answer.events)} events, ${count(answer.writes)} view writes`;
  if (answer.outcome === "failed") return `failed again, ${answer.cause.kind}: ${answer.cause.message.split("\n")[0]}`;
  if (answer.outcome === "parked") return `waits behind input ${answer.behind}, and follows when that is replayed or discarded`;
  if (answer.outcome === "gone") return "gone: it was replayed or discarded before";
  return `not done: ${answer.reason}`;
}

export async function letters({ main, state, signal, parameters }) {
  const wish = Object.fromEntries(FILTERS.map((name) => [name, parameters.get(name) ?? ""]));
  const body = h("div", {}, loading("dead letters"));
  const bulk = h("div", { class: "buttons" });
  const found = { letters: [], next: null, busy: false };
  const load = async () => {
    const answer = await get("/api/dead-letters", { ...wish, behind: found.next }, signal);
    found.letters.push(...answer.letters);
    found.next = answer.next;
    draw();
  };
  const draw = () => {
    const asked = Object.values(wish).some(Boolean);
    // While many are worked through, nothing else is begun.
    if (!found.busy) fill(bulk, found.letters.length ? many(found, state, draw) : "");
    fill(body, found.letters.length ? list(found.letters) : none(asked, found.next),
      found.next && !found.busy && h("div", { class: "buttons" }, acting("More", true, load)));
  };
  fill(main, heading("Dead letters", bulk), filters(wish, state), mayNot(state.app), body);
  await load();
}

function none(asked, next) {
  if (next) return empty("None so far", "There are more to look through.");
  return asked ? empty("None like that", "No dead letter stands that all filters take.")
    : empty("No dead letters", "Inputs that a module cannot process are kept here, with their cause. There are none.");
}

function list(all) {
  const columns = [["Input", "first"], ["Module", "half"], ["Cause", "half"], ["What it says", "preview"], ["Key", "mono preview short"], ["Stored", "whole"]];
  return table("Dead letters", columns, all.map((letter) => [
    links.letter(letter, `${letter.stream}:${letter.sequence}`), [letter.module, h("small", {}, `lane ${letter.lane}`)],
    pill(letter.cause), letter.message, letter.key ?? "–", moment(letter.time),
  ]));
}

/** Replays or discards all that are shown, one after the other. */
function many(found, state, draw) {
  const each = async (doing, done, act) => {
    let fine = 0;
    const all = [...found.letters];
    found.busy = true;
    buttons.forEach((button) => { button.disabled = true; });
    draw();
    try {
      for (const [at, letter] of all.entries()) {
        say(`${doing} ${at + 1} of ${count(all.length)}`);
        if (await act(letter)) {
          fine += 1;
          found.letters.splice(found.letters.indexOf(letter), 1);
          draw();
        }
      }
    } finally {
      found.busy = false;
      draw();
    }
    say(`${count(fine)} ${done}${found.letters.length ? `, ${count(found.letters.length)} stay` : ""}`);
  };
  const number = count(found.letters.length);
  const replay = () => each("Replaying", "replayed", async (letter) => (await post(`${path(letter)}/replay`)).outcome === "replayed");
  const discard = async () => {
    const yes = await confirm(`Discard ${number} dead letters?`, "Their inputs will never be processed. This cannot be undone.", "Discard");
    if (yes) await each("Discarding", "discarded", async (letter) => Boolean((await post(`${path(letter)}/discard`)).discarded));
  };
  const buttons = [acting(`Replay these ${number}`, state.app.acts, replay), acting(`Discard these ${number}`, state.app.acts, discard, "danger")];
  return buttons;
}

function filters(wish, state) {
  const modules = [["", "all modules"], ...(state.modules?.modules ?? []).map(({ record }) => [record.module, record.module])];
  if (wish.module && !modules.some(([name]) => name === wish.module)) modules.push([wish.module, wish.module]);
  const apply = () => {
    const given = new FormData(form);
    location.hash = `#/dead-letters${query(Object.fromEntries(FILTERS.map((name) => [name, given.get(name)])))}`;
  };
  const form = h("form", { class: "filters", onsubmit: (event) => { event.preventDefault(); apply(); } },
    field("Module", select(modules, wish.module, apply, "module")),
    field("Cause", select([["", "any cause"], ...CAUSES.map((cause) => [cause, cause])], wish.cause, apply, "cause")),
    field("Text", h("input", { type: "search", name: "message", value: wish.message, placeholder: "in what it says", onchange: apply })),
    field("Key", h("input", { type: "search", name: "key", value: wish.key, placeholder: "any", onchange: apply })));
  return form;
}

export async function letter({ main, state, signal, go }, module, lane, sequence) {
  fill(main, loading("the dead letter"));
  const place = { module, lane, sequence };
  const found = await get(path(place), {}, signal);
  const result = h("p", { class: "result", role: "status" });
  const replay = acting("Replay", state.app.acts, async () => {
    result.textContent = "Its lane runs it again…";
    const answer = await post(`${path(place)}/replay`);
    result.textContent = outcome(answer);
    result.classList.toggle("bad", answer.outcome !== "replayed");
    if (answer.outcome === "replayed" || answer.outcome === "gone") fill(buttons);
  }, "main");
  const discard = acting("Discard", state.app.acts, async () => {
    const yes = await confirm("Discard this dead letter?", found.removed ? "It says which messages are gone. This cannot be undone." : `Input ${found.stream}:${found.sequence} will never be processed by ${module}. This cannot be undone.`, "Discard");
    if (!yes) return;
    await post(`${path(place)}/discard`);
    say("The dead letter is discarded");
    go("#/dead-letters");
  }, "danger");
  const buttons = h("div", { class: "buttons" }, replay, discard);
  const { cause, removed } = found;
  // A gap holds no input: there is nothing to run again.
  if (removed) fill(buttons, discard);
  fill(main, h("p", { class: "crumb" }, h("a", { href: "#/dead-letters" }, "Dead letters")),
    heading(`${found.stream}:${found.sequence}`, buttons), mayNot(state.app), result,
    h("div", { class: "cause" }, pill(cause.kind), h("p", {}, cause.message)),
    facts([
      ["Module", [links.module(module), `, lane ${lane}`]],
      ...(removed ? [
        ["Removed", `${found.stream}:${removed.first} to ${removed.last}`],
        ["Found", moment(found.time)],
      ] : [
        ["Input", links.event(found.stream, found.sequence)],
        ["Subject", h("span", { class: "mono wrap" }, found.subject)],
        ["Key", h("span", { class: "mono wrap" }, found.key ?? "–")],
        ["Stored", moment(found.time)],
        ["Tries", count(found.attempts)],
      ]),
      ["Plugin", h("span", { class: "mono wrap" }, found.plugin)],
    ]),
    cause.backtrace?.length ? [h("h2", {}, "Backtrace"), h("pre", { tabindex: "0" }, cause.backtrace.join("\n"))] : null,
    found.log?.length ? [h("h2", {}, "What the plugin logged last"), h("pre", { tabindex: "0" }, found.log.join("\n"))] : null,
    removed ? null : [h("h2", {}, "Payload"), shown(payload(found))],
    found.headers.length ? [h("h2", {}, "Headers"), table("Headers", [["Name", "first mono"], ["Value", "mono wrap whole"]], found.headers)] : null);
}

/** The payload laid out, if it is JSON. */
function payload(found) {
  if (found.data === undefined) return found;
  try {
    return { data: JSON.parse(found.data) };
  } catch {
    return found;
  }
}
