// Views: which there are, their keys to browse and search, and one value.

import { h, fill, count, later, oneLine, value as laidOut } from "./dom.js";
import { get, part, query } from "./host.js";
import { empty, facts, failed, field, heading, links, loading, select, shown, table } from "./parts.js";

const PAGE = 100;
/** Keys that one search looks through before it asks whether to go on. */
const SEARCHED = 5000;
const CHUNK = 500;

export async function views({ main, signal }) {
  fill(main, heading("Views"), loading("views"));
  const answer = await get("/views", {}, signal);
  const all = answer.views;
  fill(main, heading("Views"), all.length
    ? table("Views and who makes them", [["View", "first"], ["Made by", "half"], ["From", ""], ["Generation", "number"]],
      all.map((one) => [links.view(one.view), links.module(one.module), h("span", { class: "mono" }, one.stream), count(one.generation)]))
    : empty("No views", "A module that is granted views in the config writes its results there."));
}

export async function view({ main, signal, parameters }, name) {
  const wish = { text: parameters.get("search") ?? "", how: parameters.get("how") ?? "begin" };
  const body = h("div", {}, loading("keys"));
  const status = h("p", { class: "status soft", role: "status" });
  let found;
  const load = async (of) => {
    await (wish.how === "begin" || !wish.text ? page(name, wish.text, of, signal) : search(name, wish.text, of, signal));
    // Another search may have begun meanwhile.
    if (of !== found) return;
    status.textContent = told(of, wish);
    const more = () => h("button", { type: "button", onclick: (event) => { event.target.disabled = true; attempt(() => load(of)); } },
      wish.text && wish.how !== "begin" ? "Search on" : "More");
    fill(body, list(name, of, wish), of.next !== null && h("div", { class: "buttons" }, more()));
  };
  const attempt = async (act) => {
    try {
      await act();
    } catch (problem) {
      if (!signal.aborted) fill(body, failed(problem, () => attempt(begin)));
    }
  };
  const begin = () => load(found = { entries: [], next: null, looked: 0 });
  const changed = (next) => {
    Object.assign(wish, next);
    history.replaceState(null, "", `#/views/${part(name)}${query({ search: wish.text, how: wish.text ? wish.how : "" })}`);
    attempt(begin);
  };
  fill(main, h("p", { class: "crumb" }, h("a", { href: "#/views" }, "Views")), heading(name), searchForm(wish, changed), status, body);
  await begin();
}

/** The next keys that begin with `prefix`. */
async function page(name, prefix, found, signal) {
  const answer = await get(`/views/${part(name)}`, { prefix, behind: found.next, limit: PAGE }, signal);
  found.entries.push(...answer.entries);
  found.next = answer.next ?? null;
}

/** Looks for `text` in keys and values, up to a page of them or so many keys. */
async function search(name, text, found, signal) {
  const wanted = text.toLowerCase();
  const until = { looked: found.looked + SEARCHED, entries: found.entries.length + PAGE };
  let answer;
  do {
    answer = await get(`/views/${part(name)}`, { behind: found.next, limit: CHUNK }, signal);
    found.looked += answer.entries.length;
    found.entries.push(...answer.entries.filter(({ key, value }) =>
      key.toLowerCase().includes(wanted) || oneLine(value).toLowerCase().includes(wanted)));
    found.next = answer.next ?? null;
    // A page without entries looked at many keys that were deleted.
  } while (answer.entries.length && found.next !== null && found.looked < until.looked && found.entries.length < until.entries);
}

function told({ entries, next, looked }, { text, how }) {
  const more = next === null ? "" : ", and there are more";
  if (!text) return entries.length ? `${count(entries.length)} keys${more}` : "";
  if (how === "begin") return `${count(entries.length)} keys begin with “${text}”${more}`;
  return `${count(entries.length)} of ${count(looked)} keys hold “${text}”${next === null ? "" : "; there are more to look through"}`;
}

function list(name, { entries, next }, { text }) {
  if (!entries.length) {
    if (next !== null) return empty("None so far", "There are more to look through.");
    return text ? empty("Nothing found", "No key is like that. Upper and lower case count for what a key begins with.")
      : empty("No keys yet", "Nothing was written to this view.");
  }
  return table(`Keys of ${name}`, [["Key", "first mono"], ["Value", "mono preview"]], entries.map(({ key, value: held }) =>
    [h("a", { href: `#/views/${part(name)}/${part(key)}` }, key), oneLine(held).slice(0, 300)]));
}

function searchForm(wish, changed) {
  const apply = () => {
    const given = new FormData(form);
    changed({ text: given.get("search"), how: given.get("how") });
  };
  const form = h("form", { class: "filters", role: "search", onsubmit: (event) => { event.preventDefault(); apply(); } },
    field("Search", h("input", { type: "search", name: "search", value: wish.text, autocomplete: "off", oninput: later(apply) })),
    field("Where", select([["begin", "keys begin with it"], ["hold", "key or value contains it"]], wish.how, apply, "how")));
  return form;
}

export async function value({ main, state, signal }, name, key) {
  fill(main, loading("the value"));
  const answer = await get(`/views/${part(name)}`, { key }, signal);
  const { value: held, revision } = answer.entries[0];
  const crumb = h("p", { class: "crumb" }, h("a", { href: "#/views" }, "Views"), links.view(name));
  if (held === null) {
    fill(main, crumb, heading(key), empty("No value", revision ? "It was removed." : "Nothing was ever written under this key."));
    return;
  }
  fill(main, crumb, heading(key),
    facts([["View", links.view(name)], ["Written at", links.event(state.app.stream, revision)],
      ["Feed", h("a", { href: `#/feed${query({ key, since: "1d" })}` }, "what happened to this key")]]),
    shown(laidOut(held)));
}
