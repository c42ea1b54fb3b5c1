// One stored message: what it is, what caused it, and what it caused.

import { h, fill, bytes, count, line, moment } from "./dom.js";
import { get, part, query } from "./host.js";
import { facts, field, heading, itemLine, items, links, loading, position, select, shown, table } from "./parts.js";

/** Asks for the position of a message. */
export async function find({ main, state, go }) {
  if (!state.modules) await state.refresh();
  const streams = [...new Set([...state.modules.modules.map(({ record }) => record.stream), state.app.stream])];
  const form = h("form", { class: "filters", onsubmit: (event) => {
    event.preventDefault();
    const given = new FormData(form);
    go(`#/events/${part(given.get("stream"))}/${given.get("sequence")}`);
  } },
  field("Stream", select(streams.map((name) => [name, name]), streams[0], undefined, "stream")),
  field("Position", h("input", { type: "number", name: "sequence", min: "1", step: "1", required: true, value: "1" })),
  h("button", { type: "submit", class: "main" }, "Show"));
  fill(main, heading("Events"), h("p", {}, "Every stored message has a page that tells what caused it and what it caused. Open one from the ",
    h("a", { href: "#/feed" }, "feed"), ", or by its position."), form);
}

export async function event({ main, signal }, stream, sequence) {
  fill(main, loading(`${stream}:${sequence}`));
  const story = await get(`/api/events/${part(stream)}/${part(sequence)}`, {}, signal);
  const { event: told, problem, made_by: made } = story;
  const title = told?.type ?? made?.what ?? "Message";
  fill(main, h("p", { class: "crumb" }, h("a", { href: "#/events" }, "Events"), h("span", { class: "mono" }, `${stream}:${sequence}`), steps(stream, Number(sequence))),
    heading(title),
    problem && h("p", { class: "trouble" }, `It is no event: ${problem}`),
    facts([
      ["Position", h("span", { class: "mono" }, `${stream}:${sequence}`)],
      ["Stored", moment(story.time)],
      ["Subject", h("span", { class: "mono wrap" }, story.subject)],
      made && ["Made by", [links.module(made.module), ` (${made.what})`]],
      ["Size", bytes(story.bytes)],
      ...attributes(told),
    ]),
    h("h2", {}, "Data"), shown(story),
    h("h2", {}, "What caused it"), causes(story),
    h("h2", {}, "What it caused"), effects(story),
    story.headers.length ? h("details", {}, h("summary", {}, `Headers (${story.headers.length})`),
      table("Headers", [["Name", "first mono"], ["Value", "mono wrap whole"]], story.headers)) : null);
}

function steps(stream, sequence) {
  return h("span", { class: "steps" },
    sequence > 1 && h("a", { href: `#/events/${part(stream)}/${sequence - 1}`, "aria-label": "the message before" }, "‹ before"),
    h("a", { href: `#/events/${part(stream)}/${sequence + 1}`, "aria-label": "the message after" }, "after ›"));
}

function attributes(told) {
  if (!told) return [];
  const mono = (text) => h("span", { class: "mono wrap" }, text);
  return [["Id", mono(told.id)], ["Source", mono(told.source)], ["Happened", moment(told.time)],
    told.subject && ["About", mono(told.subject)], told.correlation !== told.id && ["Chain began with", mono(told.correlation)],
    ...told.attributes.filter(([name]) => !name.startsWith("pelton")).map(([name, value]) => [name, mono(value)])].filter(Boolean);
}

const plain = (...text) => h("p", { class: "soft" }, text);

function causes({ causes: list, lost, made_by: made, event: told }) {
  if (!list.length && !lost) {
    if (made?.what === "view") return plain("A view's value does not name the input that wrote it, since the writes of many inputs are one.");
    if (told?.causation) return plain("Its producer says that it was caused by ", h("span", { class: "mono" }, told.causation), ".");
    return plain("It came from outside, and names nothing that caused it.");
  }
  return h("ol", { class: "chain" },
    list.map((one) => h("li", {}, links.event(one.stream, one.sequence), h("b", {}, one.event?.type ?? "message"),
      moment(one.time), h("span", { class: "mono about" }, line(one)))),
    lost && h("li", {}, position(lost), h("span", { class: "soft" }, "is not there any more")));
}

function effects({ effects: { events, dead_letters: letters, values, scanned, complete }, taken_by: taken }) {
  const note = complete ? null : h("p", { class: "soft note" }, `Only the first ${count(scanned)} events that were stored after it were looked through, so there may be more.`);
  if (!taken.length) return plain("Nothing: no module of this app takes it.");
  const standing = letters.filter((one) => !one.removed);
  return [
    h("p", { class: "soft" }, "Taken by ", taken.map((one, at) => [at ? ", " : "", links.module(one.module), ` (lane ${one.lane}${one.key === undefined ? ", no key" : `, key ${one.key}`})`])),
    events.length || standing.length ? items([...events, ...standing]) : h("p", {}, complete ? "No events and no dead letters." : "No events and no dead letters found."),
    note,
    letters.length > standing.length ? h("p", { class: "soft" }, "It was a dead letter that was replayed or discarded.") : null,
    values.length ? [h("h3", {}, "Under its key by now"), h("ol", { class: "items" }, values.map((one) => itemLine(one))),
      h("p", { class: "soft note" }, "Views name no input: later inputs of the same key may have written these.")] : null,
    taken.some((one) => one.key) ? h("p", {}, h("a", { href: `#/feed${query({ key: taken.find((one) => one.key).key, since: "first" })}` }, "All that happened to this key")) : null,
  ];
}
