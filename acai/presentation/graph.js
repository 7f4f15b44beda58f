/** Drawing of a graph: places found by forces that pull along edges and push nodes apart, the same every time. */

import { s } from './dom.js';

const WIDTH = 720;
const ROUNDS = 160;
const LONGEST = 22;
const CLEAR = 48;

const short = (label) => ([...label].length > LONGEST ? `${[...label].slice(0, LONGEST - 1).join('')}…` : label);
const wide = (label) => Math.max(44, [...short(label)].length * 8.4 + 22);

/**
 * Places of nodes, about in a box of that size, from a first place on a spiral turned by `start`.
 * @param {{nodes: {id: string, label: string}[], edges: {source: string, target: string}[]}} graph
 * @returns {{x: number, y: number}[]} in the order of the nodes
 */
function settle({ nodes, edges }, width, height, start) {
  const turn = Math.PI * (3 - Math.sqrt(5));
  const at = nodes.map((_, n) => ({ x: width / 2 + Math.cos(start + n * turn) * (20 + 40 * Math.sqrt(n)), y: height / 2 + Math.sin(start + n * turn) * (20 + 30 * Math.sqrt(n)) }));
  const place = new Map(nodes.map((node, n) => [node.id, n]));
  const ideal = Math.max(70, 0.62 * Math.sqrt((width * height) / nodes.length));
  const rounds = nodes.length > 40 ? ROUNDS / 3 : ROUNDS;
  for (let round = 0; round < rounds; round += 1) {
    const heat = 24 * (1 - round / rounds) + 0.5;
    const force = at.map(() => ({ x: 0, y: 0 }));
    const push = (one, other, size, dx, dy) => {
      force[one].x += dx * size;
      force[one].y += dy * size;
      force[other].x -= dx * size;
      force[other].y -= dy * size;
    };
    for (let one = 0; one < at.length; one += 1) {
      for (let other = one + 1; other < at.length; other += 1) {
        const [dx, dy] = [(at[one].x - at[other].x) / 1.7 || 0.1, at[one].y - at[other].y || 0.1]; // boxes are wider than high
        push(one, other, (ideal * ideal) / Math.max(25, dx * dx + dy * dy), dx / ideal, dy / ideal);
      }
    }
    for (const { source, target } of edges) {
      const [one, other] = [place.get(source), place.get(target)];
      if (one === other) continue;
      const [dx, dy] = [at[other].x - at[one].x, at[other].y - at[one].y];
      push(one, other, Math.hypot(dx, dy) / ideal / 2, dx / ideal, dy / ideal);
      for (const [n, { x, y }] of nodes.length > 40 ? [] : at.entries()) { // a line does not run through a third box
        if (n === one || n === other) continue;
        const along = ((x - at[one].x) * dx + (y - at[one].y) * dy) / Math.max(1, dx * dx + dy * dy);
        if (along <= 0 || along >= 1) continue;
        const [ox, oy] = [x - at[one].x - along * dx, y - at[one].y - along * dy];
        const off = Math.hypot(ox, oy);
        if (off > CLEAR) continue;
        const [ux, uy] = off > 1 ? [ox / off, oy / off] : [-dy / Math.hypot(dx, dy), dx / Math.hypot(dx, dy)];
        force[n].x += ux * 2 * (1 - off / CLEAR);
        force[n].y += uy * 2 * (1 - off / CLEAR);
      }
    }
    for (let n = 0; n < at.length; n += 1) {
      force[n].x += (0.8 * (width / 2 - at[n].x)) / width; // all of it stays near the middle
      force[n].y += (1.6 * (height / 2 - at[n].y)) / height;
      const size = Math.hypot(force[n].x, force[n].y) || 1;
      const step = Math.min(heat, size * 20);
      at[n].x += (force[n].x / size) * step;
      at[n].y += (force[n].y / size) * step;
    }
  }
  return at;
}

const side = (a, b, c) => Math.sign((b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x));

/** How hard a layout is to read: lines that cross, lines near other boxes, boxes over one another. */
function mess({ nodes, edges }, at) {
  const place = new Map(nodes.map((node, n) => [node.id, n]));
  const lines = edges.map(({ source, target }) => [place.get(source), place.get(target)]);
  let sum = 0;
  for (const [k, [a, b]] of lines.entries()) {
    for (const [c, d] of lines.slice(k + 1)) {
      if (new Set([a, b, c, d]).size < 4) continue;
      if (side(at[a], at[b], at[c]) !== side(at[a], at[b], at[d]) && side(at[c], at[d], at[a]) !== side(at[c], at[d], at[b])) sum += 1;
    }
    const [dx, dy] = [at[b].x - at[a].x, at[b].y - at[a].y];
    for (let n = 0; n < at.length; n += 1) {
      if (n === a || n === b) continue;
      const along = Math.min(1, Math.max(0, ((at[n].x - at[a].x) * dx + (at[n].y - at[a].y) * dy) / Math.max(1, dx * dx + dy * dy)));
      const [ox, oy] = [Math.abs(at[n].x - at[a].x - along * dx), Math.abs(at[n].y - at[a].y - along * dy)];
      if (ox < wide(nodes[n].label) / 2 + 8 && oy < 24) sum += 3;
    }
    if (Math.abs(dx) < (wide(nodes[a].label) + wide(nodes[b].label)) / 2 + 30 && Math.abs(dy) < 60) sum += 1; // no room for its label
  }
  return sum;
}

/**
 * The most readable of a few layouts, the same every time.
 * @returns {Map<string, {x: number, y: number}>} by the nodes' ids
 */
export function layout(graph, width, height) {
  const starts = graph.nodes.length > 16 ? 1 : 5; // well under a tenth of a second
  const tried = Array.from({ length: starts }, (_, n) => settle(graph, width, height, n * 1.1));
  const costs = tried.map((at) => mess(graph, at));
  const best = tried[costs.indexOf(Math.min(...costs))];
  return new Map(graph.nodes.map((node, n) => [node.id, best[n]]));
}

/** Where a line from the middle of a box to another point leaves the box. */
function border({ x, y }, to, half) {
  const [dx, dy] = [to.x - x, to.y - y];
  const scale = Math.min(half / Math.max(1e-6, Math.abs(dx)), 17 / Math.max(1e-6, Math.abs(dy)), 1);
  return { x: x + dx * scale, y: y + dy * scale };
}

const write = (label, x, y, kind) => s('text', { x: x.toFixed(1), y: y.toFixed(1), class: kind, 'text-anchor': 'middle', 'dominant-baseline': 'middle' }, short(label));

/**
 * @param {{nodes: {id: string, label: string}[], edges: {source: string, target: string, label: string}[]}} graph
 * @param {string} title what the drawing shows, for those who do not see it
 * @returns {SVGElement}
 */
export function drawing(graph, title) {
  const height = Math.min(640, 170 + 46 * graph.nodes.length);
  const at = layout(graph, WIDTH, height);
  const half = new Map(graph.nodes.map((node) => [node.id, wide(node.label) / 2]));
  const pairs = new Map();
  const lines = graph.edges.map((edge) => {
    const [from, to] = [at.get(edge.source), at.get(edge.target)];
    const pair = [edge.source, edge.target].sort().join(' ');
    const nth = pairs.get(pair) ?? 0;
    pairs.set(pair, nth + 1);
    const [start, end] = [border(from, to, half.get(edge.source)), border(to, from, half.get(edge.target))];
    const middle = { x: (start.x + end.x) / 2, y: (start.y + end.y) / 2 + nth * 15 };
    return s('g', { class: 'edge' }, s('path', { d: `M${start.x.toFixed(1)} ${start.y.toFixed(1)}L${end.x.toFixed(1)} ${end.y.toFixed(1)}`, 'marker-end': 'url(#arrow)' }),
      write(edge.label, middle.x, middle.y, 'edge-label'));
  });
  const boxes = graph.nodes.map((node) => {
    const { x, y } = at.get(node.id);
    const side = half.get(node.id);
    return s('g', { class: 'node' }, s('title', null, node.label), s('rect', { x: (x - side).toFixed(1), y: (y - 16).toFixed(1), width: (2 * side).toFixed(1), height: 32, rx: 16 }), write(node.label, x, y + 1, 'node-label'));
  });
  const edge = (side, sign) => graph.nodes.map(({ id }) => at.get(id)[side] + sign * (side === 'x' ? half.get(id) + 14 : 30));
  const [left, top] = [Math.min(...edge('x', -1)), Math.min(...edge('y', -1))];
  const view = [left, top, Math.max(...edge('x', 1)) - left, Math.max(...edge('y', 1)) - top].map((side) => side.toFixed(1));
  return s('svg', { class: 'drawing', viewBox: view.join(' '), role: 'img', 'aria-label': title, direction: 'ltr' },
    s('defs', null, s('marker', { id: 'arrow', viewBox: '0 0 8 8', refX: 7, refY: 4, markerWidth: 8, markerHeight: 8, orient: 'auto' }, s('path', { d: 'M0 0L8 4L0 8z', class: 'head' }))),
    lines, boxes);
}
