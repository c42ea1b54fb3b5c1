// Asks the host: JSON, actions, and streams of events. Shows the token, which lives in this tab only.

const KEY = "pelton-token";

/** Why an answer is none: a problem that the host names, or that it is away (status 0). */
export class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

export const token = {
  get: () => sessionStorage.getItem(KEY),
  set: (text) => (text ? sessionStorage.setItem(KEY, text) : sessionStorage.removeItem(KEY)),
};

const listeners = new Set();
/** Calls `listener` with true or false, whenever the host answers or does not. */
export const onAway = (listener) => listeners.add(listener);
const tell = (status) => listeners.forEach((listener) => listener(status));

async function ask(method, path, signal) {
  const shown = token.get();
  const headers = shown ? { Authorization: `Bearer ${shown}` } : {};
  let answer;
  try {
    answer = await fetch(path, { method, headers, signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    tell(0);
    throw new Problem(0, "the host does not answer");
  }
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    tell(answer.status);
    throw new Problem(answer.status, problem.detail ?? `the host answers ${answer.status}`);
  }
  tell(answer.status);
  return answer;
}

/** What `path` holds. Parameters that are empty are left out. */
export async function get(path, parameters = {}, signal = undefined) {
  const answer = await ask("GET", path + query(parameters), signal);
  try {
    return await answer.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "the host's answer broke off");
  }
}

export async function text(path, signal) {
  return (await ask("GET", path, signal)).text();
}

/** Does what `path` says. */
export async function post(path) {
  return (await ask("POST", path)).json();
}

/** A part of a path. */
export const part = encodeURIComponent;

export function query(parameters) {
  const given = Object.entries(parameters).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).filter((one) => one !== undefined && one !== null && one !== "")
      .map((one) => `${part(name)}=${part(one)}`));
  return given.length ? `?${given.join("&")}` : "";
}

/** Reads server-sent events until `signal`, and gives each one's name and data to `take`. */
export async function stream(path, parameters, take, begun, signal) {
  const answer = await ask("GET", path + query(parameters), signal);
  begun();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    const events = rest.split("\n\n");
    rest = events.pop();
    for (const event of events) parse(event, take);
  }
}

function parse(event, take) {
  let name = "message";
  const data = [];
  for (const line of event.split("\n")) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    if (line.startsWith("data:")) data.push(line.slice(5).trimStart());
  }
  if (data.length) take(name, JSON.parse(data.join("\n")));
}
