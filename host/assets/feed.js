// The live feed: inputs, events, view writes and dead letters as they are stored, the newest on top.

import { h, fill, count } from "./dom.js";
import { Problem, query, stream } from "./host.js";
import { empty, failed, field, heading, itemLine, say, select } from "./parts.js";

/** Lines that are kept; more than this nobody reads back. */
const MOST = 300;
const KINDS = [["input", "inputs"], ["event", "events"], ["view", "view writes"], ["dead-letter", "dead letters"], ["commit", "commits"]];
const SINCE = [["now", "from now on"], ["1m", "the last minute"], ["10m", "the last 10 minutes"], ["1h", "the last hour"], ["1d", "the last day"], ["first", "the beginning"]];

export async function feed({ main, state, signal, parameters }) {
  const wish = wishOf(parameters);
  const lines = h("ol", { class: "items feed", "aria-label": "What was stored, the newest first" });
  const status = h("span", { class: "soft" }, "connecting");
  const nothing = h("div", {});
  const shown = { paused: false, waiting: [], skipped: 0, seen: 0 };
  const stop = h("button", { type: "button", "aria-pressed": "false", onclick: () => turn() }, "Pause");
  fill(main, heading("Feed", stop), filters(wish, state), h("p", { class: "status" }, status), lines, nothing);

  // The count changes all the time; a screen reader hears only what is new in kind.
  let told = "";
  const tell = (problem) => {
    if (problem && problem !== told) say(`The feed: ${problem}`);
    told = problem ?? "";
    const left = shown.skipped ? `, ${count(shown.skipped)} left out since they came too fast` : "";
    const waiting = shown.waiting.length ? `${shown.waiting.length === MOST ? "more than " : ""}${shown.waiting.length} new` : "nothing new yet";
    status.textContent = problem ?? (shown.paused ? `paused, ${waiting}` : `live: ${count(shown.seen)} seen${left}`);
  };
  const draw = (items) => {
    const top = window.scrollY < 80 ? 0 : lines.offsetHeight;
    lines.prepend(...items.slice(-MOST).reverse().map((item) => itemLine(item)));
    while (lines.childElementCount > MOST) lines.lastElementChild.remove();
    // Whoever has scrolled down reads there: the page must not move under them.
    if (top) window.scrollBy(0, lines.offsetHeight - top);
    if (items.length) fill(nothing);
  };
  const turn = () => {
    shown.paused = !shown.paused;
    stop.textContent = shown.paused ? "Go on" : "Pause";
    stop.setAttribute("aria-pressed", String(shown.paused));
    if (!shown.paused) draw(shown.waiting.splice(0));
    tell();
    say(shown.paused ? "The feed is paused" : "The feed goes on");
  };
  const take = (name, data) => {
    if (name === "problem") throw new Problem(500, data);
    shown.seen += data.items.length;
    shown.skipped += data.skipped;
    if (shown.paused) shown.waiting = [...shown.waiting, ...data.items].slice(-MOST);
    else draw(data.items);
    tell();
  };
  const begun = () => {
    if (told) say("The feed is live again");
    tell();
    if (!lines.childElementCount) fill(nothing, empty("Nothing yet", "Whatever is stored from now on is shown here at once. Choose a time above to see what was before."));
  };
  follow(wish, take, begun, tell, nothing, signal);
}

/** Keeps a stream open until `signal`; once it has begun it goes on from now. */
async function follow(wish, take, begun, tell, nothing, signal) {
  let since = wish.since;
  const goesOn = () => { since = "now"; begun(); };
  while (!signal.aborted) {
    try {
      await stream("/api/feed", { ...wish, since }, take, goesOn, signal);
    } catch (problem) {
      if (signal.aborted) return;
      if (problem.status === 401) return;
      if (problem.status >= 400 && problem.status < 500) {
        tell("stopped");
        fill(nothing, failed(problem, null));
        return;
      }
    }
    tell("interrupted; trying again");
    await new Promise((next) => { setTimeout(next, 2000); });
  }
}

function wishOf(parameters) {
  const kinds = parameters.getAll("kind").filter((kind) => KINDS.some(([known]) => known === kind));
  return {
    module: parameters.getAll("module"),
    kind: kinds.length ? kinds : KINDS.slice(0, 4).map(([kind]) => kind),
    key: parameters.get("key") ?? "",
    type: parameters.get("type") ?? "",
    since: parameters.get("since") ?? "10m",
  };
}

function filters(wish, state) {
  const all = [["", "all modules"], ...(state.modules?.modules ?? []).map(({ record }) => [record.module, record.module])];
  if (wish.module[0] && !all.some(([name]) => name === wish.module[0])) all.push([wish.module[0], wish.module[0]]);
  const form = h("form", { class: "filters", onsubmit: (event) => { event.preventDefault(); apply(); } },
    field("Module", select(all, wish.module[0] ?? "", () => apply(), "module")),
    field("Key", h("input", { type: "search", name: "key", value: wish.key, placeholder: "any", onchange: () => apply() })),
    field("Type", h("input", { type: "search", name: "type", value: wish.type, placeholder: "any", onchange: () => apply() })),
    field("Since", select(SINCE.some(([since]) => since === wish.since) ? SINCE : [...SINCE, [wish.since, wish.since]], wish.since, () => apply(), "since")),
    h("fieldset", {}, h("legend", { class: "sr" }, "Kinds"), KINDS.map(([kind, label]) =>
      h("label", { class: "check" }, h("input", { type: "checkbox", name: "kind", value: kind, checked: wish.kind.includes(kind), onchange: () => apply() }), label))));
  const apply = () => {
    const given = new FormData(form);
    const next = { module: given.getAll("module"), kind: given.getAll("kind"), key: given.get("key"), type: given.get("type"), since: given.get("since") };
    location.hash = `#/feed${query(next)}`;
  };
  return form;
}
