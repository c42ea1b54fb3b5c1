// The graph: who feeds whom, drawn by the host, and the same in words.

import { h, fill, count } from "./dom.js";
import { get, text } from "./host.js";
import { empty, heading, links, loading, pill, table } from "./parts.js";

export async function graph({ main, signal }) {
  fill(main, heading("Graph"), loading("the graph"));
  const [drawn, { nodes, edges, app }] = await Promise.all([text("/api/graph.svg", signal), get("/api/graph", {}, signal)]);
  const modules = nodes.filter((node) => node.kind === "module");
  if (!modules.length) {
    fill(main, heading("Graph"), empty("No modules", "Once the config has modules, who feeds whom is drawn here."));
    return;
  }
  // As an image it can run nothing, and reads dark or light by itself.
  const image = h("img", { src: `data:image/svg+xml;charset=utf-8,${encodeURIComponent(drawn)}`, alt: `Who feeds whom in the app ${app}; the table below says the same`, class: "graph" });
  const named = new Map(nodes.map((node) => [node.id, node]));
  const list = (ids) => (ids.length ? ids.map((id, at) => [at ? ", " : "", link(named.get(id), id)]) : "–");
  fill(main, heading("Graph"), h("div", { class: "scroll drawing", tabindex: "0", role: "region", "aria-label": "Drawing of the graph" }, image),
    table("Who feeds whom", [["Module", "first"], ["State", "half"], ["Lag", "number"], ["Takes", "half"], ["Makes", "whole"]], modules.map((node) => [
      links.module(node.name), pill(stateOf(node.live)), count(node.live?.lag),
      list(edges.filter((edge) => edge.to === node.id).map((edge) => edge.from)),
      list(edges.filter((edge) => edge.from === node.id).map((edge) => edge.to)),
    ])));
}

const stateOf = (live) => (!live?.state ? "never ran" : typeof live.state === "string" ? live.state : "halted");

function link(node, id) {
  if (!node) return id;
  if (node.kind === "view") return ["view ", links.view(node.name)];
  return `${node.kind === "category" ? "events" : node.kind} ${node.name}`;
}
