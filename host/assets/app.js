// The shell: picks the view that the address names, keeps an eye on the host, and asks for the token.

import { h, fill } from "./dom.js";
import { get, onAway, token, Problem } from "./host.js";
import { failed, field, loading } from "./parts.js";
import { modules, module } from "./modules.js";
import { hosts } from "./hosts.js";
import { feed } from "./feed.js";
import { views, view, value } from "./views.js";
import { letters, letter } from "./letters.js";
import { graph } from "./graph.js";
import { event, find } from "./event.js";

const VIEWS = [
  ["modules", "Modules", [modules, module]],
  ["hosts", "Hosts", [hosts]],
  ["feed", "Feed", [feed]],
  ["views", "Views", [views, view, value]],
  ["dead-letters", "Dead letters", [letters, null, null, letter]],
  ["graph", "Graph", [graph]],
  ["events", "Events", [find, null, event]],
];

const main = document.getElementById("main");
const nav = document.getElementById("nav");
const banner = document.getElementById("banner");
const health = document.getElementById("health");

/** What every view works with. */
export const state = {
  app: null,
  /** The last answer of /api/modules, and counts of the last two minutes by module. */
  modules: null,
  history: new Map(),
  watchers: new Set(),
};

let leave = null;
let first = true;

/** Where the address leads: path parts decoded, and parameters. */
function place() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const parts = path.split("/").filter((part) => part !== "").map((part) => {
    try { return decodeURIComponent(part); } catch { return part; }
  });
  return { name: parts[0] ?? "modules", rest: parts.slice(1), parameters: new URLSearchParams(query) };
}

async function show() {
  leave?.abort();
  leave = new AbortController();
  const signal = leave.signal;
  const { name, rest, parameters } = place();
  const [, title, pages] = VIEWS.find(([known]) => known === name) ?? [null, "Not found", []];
  const page = pages[rest.length];
  mark(name);
  document.title = [rest.join(" "), title, state.app?.app, "Pelton"].filter(Boolean).join(" · ");
  if (!page) {
    fill(main, failed(new Problem(404, "there is no such page"), null));
    return;
  }
  try {
    if (!state.app) {
      fill(main, loading("the app"));
      await begin(signal);
      document.title = [rest.join(" "), title, state.app.app, "Pelton"].filter(Boolean).join(" · ");
    }
    fill(main);
    await page({ main, state, signal, parameters, go: (hash) => { location.hash = hash; } }, ...rest);
  } catch (problem) {
    if (signal.aborted) return;
    if (!(problem instanceof Problem)) throw problem;
    if (problem.status !== 401) fill(main, failed(problem, show));
  } finally {
    if (!signal.aborted && !first && !main.contains(document.activeElement)) main.querySelector("h1")?.focus({ preventScroll: true });
    first = false;
  }
}

function mark(name) {
  fill(nav, VIEWS.map(([path, title]) =>
    h("a", { href: `#/${path}`, "aria-current": path === name ? "page" : undefined }, title)));
}

async function begin(signal) {
  state.app = await get("/api/app", {}, signal);
  document.getElementById("app").textContent = state.app.app;
  const { version, host, nats } = state.app;
  // A link shows no token, so it is only for hosts that want none.
  const open = token.get() ? [] : [h("a", { href: "/metrics" }, "metrics"), h("a", { href: "/openapi.json" }, "API")];
  fill(document.getElementById("foot"), h("span", {}, `pelton ${version} on ${host}`), h("span", {}, `NATS ${nats.version}`), open);
  wake();
}

/** Asks how the modules fare, every other second while someone looks. */
async function watch() {
  for (;;) {
    if (!document.hidden && state.app) {
      try {
        take(await get("/api/modules"));
      } catch (problem) {
        if (!(problem instanceof Problem)) throw problem;
        state.watchers.forEach((watcher) => watcher(null));
      }
    }
    await new Promise((next) => { setTimeout(next, 2000); wake = next; });
  }
}
let wake = () => {};
document.addEventListener("visibilitychange", () => { if (!document.hidden) wake(); });

/** Asks at once, and not in two seconds. */
state.refresh = async () => take(await get("/api/modules"));

function take(answer) {
  state.modules = answer;
  const time = Date.parse(answer.time) / 1000;
  for (const { record, counts } of answer.modules) {
    const past = state.history.get(record.module) ?? [];
    // A host that was started again counts from zero.
    if (counts && past.length && past.at(-1).inputs > counts.inputs) past.length = 0;
    if (counts) past.push({ time, ...counts });
    state.history.set(record.module, past.slice(-61));
  }
  const reasons = answer.reasons;
  health.className = `pill ${reasons.length ? "halted" : "running"}`;
  health.textContent = reasons.length ? "not ready" : "ready";
  health.title = reasons.map(({ what, module: of, reason }) => `${what} ${of ?? ""}: ${reason}`).join("\n");
  state.watchers.forEach((watcher) => watcher(answer));
}

/** Calls `watcher` with what the modules do, now and whenever it is known anew, until `signal`. */
state.watch = (watcher, signal) => {
  state.watchers.add(watcher);
  signal.addEventListener("abort", () => state.watchers.delete(watcher));
  if (state.modules) watcher(state.modules);
};

onAway((status) => {
  const away = status === 0 || status === 502 || status === 504;
  banner.hidden = !away;
  if (away) {
    health.className = "pill lost";
    health.textContent = "away";
    fill(banner, "The host does not answer. What you see is what it last said; this page goes on by itself when it is back.");
  }
  if (status === 401) askToken("This host wants its token.");
});

function askToken(why) {
  if (document.getElementById("ask-token")) return;
  const input = h("input", { type: "password", autocomplete: "off", spellcheck: "false", required: true, "aria-describedby": "why-token" });
  const close = () => { dialog.close(); dialog.remove(); };
  const use = (text) => { token.set(text); close(); state.app = null; show(); };
  const dialog = h("dialog", { id: "ask-token", "aria-labelledby": "token-title", oncancel: (event) => { event.preventDefault(); close(); } },
    h("h2", { id: "token-title" }, "Token"),
    h("p", { id: "why-token" }, why, " It is kept in this tab, and forgotten when the tab is closed."),
    h("form", { onsubmit: (event) => { event.preventDefault(); if (input.value) use(input.value.trim()); } },
      field("Token", input),
      h("div", { class: "buttons" },
        token.get() && h("button", { type: "button", onclick: () => use("") }, "Forget it"),
        h("button", { type: "button", onclick: close }, "Cancel"),
        h("button", { type: "submit", class: "main" }, "Use"))));
  document.body.append(dialog);
  dialog.showModal();
}

/** A link may bring the token, behind the # that no server sees; it does not stay in the address. */
function takeToken() {
  const { parameters } = place();
  const given = parameters.get("token");
  if (!given) return;
  token.set(given);
  parameters.delete("token");
  const rest = parameters.toString();
  history.replaceState(null, "", location.hash.split("?")[0] + (rest ? `?${rest}` : ""));
}

document.getElementById("token").addEventListener("click", () => askToken(token.get() ? "A token is set." : "No token is set."));
document.getElementById("skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, dialog")) return;
  const search = main.querySelector("input[type=search]");
  if (search) { event.preventDefault(); search.focus(); }
});
window.addEventListener("hashchange", show);
takeToken();
show();
watch();
