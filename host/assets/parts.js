// Parts that several views are made of: headings, states without content, tables, links to things, dialogs.

import { h, data, moment, line } from "./dom.js";
import { part } from "./host.js";

/** A heading, with what belongs beside it. */
export function heading(title, ...beside) {
  return h("div", { class: "heading" }, h("h1", { tabindex: "-1" }, title), h("div", { class: "beside" }, beside));
}

export const loading = (what) => h("p", { class: "loading", role: "status" }, `Loading ${what}`);
export const empty = (title, ...text) => h("div", { class: "empty" }, h("p", { class: "title" }, title), h("p", {}, text));

/** Why something cannot be shown, and a way to try again. */
export function failed(problem, again) {
  const title = problem.status === 0 ? "The host is away" : problem.status === 404 ? "Not found" : "This did not work";
  return h("div", { class: "empty bad", role: "alert" },
    h("p", { class: "title" }, title),
    h("p", {}, problem.message),
    again && h("button", { type: "button", onclick: again }, "Try again"));
}

/** A table that is a list of cards on a phone: each column is [title, class]. Its roles are said, since what is laid out as cards
 * has none of its own. */
export function table(caption, columns, rows) {
  const row = (cells) => h("tr", { role: "row" }, cells);
  const head = row(columns.map(([title, kind]) => h("th", { scope: "col", role: "columnheader", class: kind }, title)));
  const body = rows.map((cells) => row(cells.map((cell, at) =>
    h("td", { role: "cell", class: columns[at][1], "data-label": columns[at][0] }, cell))));
  return h("div", { class: "scroll" },
    h("table", { role: "table" }, h("caption", { class: "sr" }, caption), h("thead", { role: "rowgroup" }, head), h("tbody", { role: "rowgroup" }, body)));
}

/** Names and what they are. */
export function facts(pairs) {
  return h("dl", { class: "facts" }, pairs.filter(Boolean).map(([name, fact]) => h("div", {}, h("dt", {}, name), h("dd", {}, fact))));
}

export const links = {
  module: (name) => h("a", { href: `#/modules/${part(name)}` }, name),
  view: (name) => h("a", { href: `#/views/${part(name)}` }, name),
  event: (stream, sequence, label = `${stream}:${sequence}`) =>
    h("a", { href: `#/events/${part(stream)}/${sequence}`, class: "mono" }, label),
  letter: (letter, label) => h("a", { href: `#/dead-letters/${part(letter.module)}/${letter.lane}/${letter.sequence}` }, label),
};

/** A link to a position like STREAM:42; text, if it is none. */
export function position(text) {
  const at = text.lastIndexOf(":");
  const sequence = text.slice(at + 1);
  return at > 0 && /^[1-9][0-9]*$/.test(sequence) ? links.event(text.slice(0, at), sequence) : h("span", { class: "mono" }, text);
}

const KINDS = { input: "input", event: "event", view: "view", "dead-letter": "dead letter", commit: "commit" };
export const kind = (what) => h("span", { class: `kind ${what}` }, KINDS[what] ?? what);

/** A state, told by its word and not by its colour alone. */
export const pill = (state) => h("span", { class: `pill ${state}` }, state);

/** Data as it is, with a button that copies it. */
export function shown(of) {
  const { text, note } = typeof of.text === "string" ? of : data(of);
  if (text === "") return h("p", { class: "soft" }, note === "text" ? "an empty text" : note);
  const copy = h("button", { type: "button", class: "quiet copy", onclick: async () => {
    try {
      await navigator.clipboard.writeText(text);
      copy.textContent = "Copied";
    } catch {
      copy.textContent = "Select it to copy";
    }
    setTimeout(() => { copy.textContent = "Copy"; }, 1500);
  } }, "Copy");
  return h("div", { class: "data" }, h("div", { class: "bar" }, h("span", { class: "soft" }, note), copy),
    h("pre", { tabindex: "0", "aria-label": "data" }, text));
}

/** Items of the feed as lines, each a link to its page. */
export function items(list, withDate = false) {
  return h("ol", { class: "items" }, list.map((item) => itemLine(item, withDate)));
}

export function itemLine(item, withDate = false) {
  const letter = item.what === "dead-letter" && !item.removed && item.lane !== undefined && item.causation;
  const href = letter
    ? `#/dead-letters/${part(item.module)}/${item.lane}/${item.causation.slice(item.causation.lastIndexOf(":") + 1)}`
    : `#/events/${part(item.stream)}/${item.sequence}`;
  const name = item.what === "view" ? item.subject.split(".")[2] : item.type ?? item.kind;
  const about = item.problem ?? (item.removed ? "removed" : line(item));
  return h("li", {}, h("a", { href },
    h("span", { class: "when" }, moment(item.time, withDate)),
    kind(item.what),
    h("span", { class: "module" }, item.module),
    h("span", { class: "name" }, name ?? ""),
    h("span", { class: "key mono" }, item.key ?? ""),
    h("span", { class: `about mono${item.problem ? " bad" : ""}` }, about)));
}

/** Asks before something that cannot be undone; gives true if it is to be done. */
export function confirm(title, text, action) {
  return new Promise((answer) => {
    const close = (yes) => { dialog.close(); dialog.remove(); answer(yes); };
    const dialog = h("dialog", { "aria-labelledby": "ask", oncancel: (event) => { event.preventDefault(); close(false); } },
      h("h2", { id: "ask" }, title), h("p", {}, text),
      h("div", { class: "buttons" },
        h("button", { type: "button", onclick: () => close(false), autofocus: true }, "Cancel"),
        h("button", { type: "button", class: "danger", onclick: () => close(true) }, action)));
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Tells what was done, by eye and by ear. */
export function say(text) {
  document.getElementById("said").textContent = text;
  const note = h("div", { class: "toast", "aria-hidden": "true" }, text);
  document.querySelectorAll(".toast").forEach((old) => old.remove());
  document.body.append(note);
  setTimeout(() => note.remove(), 6000);
}

/** A button that acts: only with the token, and once at a time. */
export function acting(label, may, act, kind = "") {
  const why = "acting needs the token of this host";
  const button = h("button", { type: "button", class: kind, disabled: !may, title: may ? undefined : why, onclick: async () => {
    button.disabled = true;
    try {
      await act();
    } catch (problem) {
      // Whoever went to another page needs no word of it.
      if (problem.name !== "AbortError") say(problem.message);
    }
    button.disabled = false;
  } }, label);
  return button;
}

/** What to do so that one may act. */
export function mayNot(app) {
  return app.acts ? null : h("p", { class: "soft note" },
    "Acting needs a token, and this host has none: set ", h("code", {}, "token"), " in ", h("code", {}, "[http]"), " of its config.");
}

/** A field with its label. */
export function field(label, input) {
  return h("label", { class: "field" }, h("span", {}, label), input);
}

export function select(options, chosen, onchange, name) {
  return h("select", { onchange, name }, options.map(([value, label]) => h("option", { value, selected: value === chosen }, label)));
}
