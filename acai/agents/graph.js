/** A graph of triples, and its forms outside: JSON, Turtle, CSV. */

import { normalise } from '../services/retrieval/normalise.js';

/**
 * @typedef {{subject: string, relation: string, value: string}} Triple
 * @typedef {{nodes: {id: string, label: string}[], edges: {source: string, target: string, label: string}[]}} KnowledgeGraph
 */

/** One name for what is written alike. */
const key = (label) => normalise(label).replace(/[^\p{L}\p{Nd}]+/gu, ' ').trim();

/**
 * @param {Triple[]} triples
 * @returns {KnowledgeGraph} nodes in the order of mention, every edge once
 */
export function graphOf(triples) {
  const nodes = new Map();
  const edges = new Map();
  const node = (label) => {
    const name = key(label) || label;
    if (!nodes.has(name)) nodes.set(name, { id: `n${nodes.size + 1}`, label });
    return nodes.get(name).id;
  };
  for (const { subject, relation, value } of triples) {
    const edge = { source: node(subject), target: node(value), label: relation };
    const name = `${edge.source} ${key(relation)} ${edge.target}`;
    if (!edges.has(name)) edges.set(name, edge);
  }
  return { nodes: [...nodes.values()], edges: [...edges.values()] };
}

/** Graphs put together, names once: what is known so far and what is new. */
export function merge(...graphs) {
  return graphOf(graphs.flatMap(triplesOf));
}

/** @param {KnowledgeGraph} graph @returns {Triple[]} */
export function triplesOf({ nodes, edges }) {
  const label = new Map(nodes.map((node) => [node.id, node.label]));
  return edges.map((edge) => ({ subject: label.get(edge.source), relation: edge.label, value: label.get(edge.target) }));
}

/** @param {KnowledgeGraph} graph */
export const toJSON = (graph) => `${JSON.stringify({ nodes: graph.nodes, edges: graph.edges }, null, 1)}\n`;

/** A cell that no spreadsheet reads as a formula. */
const cell = (text) => `"${(/^[\s]*[=+\-@\t\r]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;

/** @param {KnowledgeGraph} graph RFC 4180, with a byte order mark so that spreadsheets read the Arabic */
export const toCSV = (graph) =>
  `\ufeff${[{ subject: 'subject', relation: 'relation', value: 'object' }, ...triplesOf(graph)]
    .map(({ subject, relation, value }) => [subject, relation, value].map(cell).join(','))
    .join('\r\n')}\r\n`;

const ESCAPES = { '\\': '\\\\', '"': '\\"', '\n': '\\n', '\r': '\\r', '\t': '\\t' };
const literal = (text) => `"${text.replace(/[\\"\n\r\t]/g, (sign) => ESCAPES[sign]).replace(/[\u0000-\u001f\u007f]/g, '')}"`;
const name = (text) => encodeURIComponent(key(text) || text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16)}`);

/** @param {KnowledgeGraph} graph Turtle: every node and relation with its label */
export function toTurtle(graph) {
  const label = new Map(graph.nodes.map((node) => [node.id, node.label]));
  const iri = (kind, text) => `<urn:acai:${kind}:${name(text)}>`;
  const labels = [
    ...graph.nodes.map((node) => [iri('entity', node.label), node.label]),
    ...new Map(graph.edges.map((edge) => [iri('relation', edge.label), edge.label])),
  ];
  const lines = [
    '@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .',
    ...labels.map(([subject, text]) => `${subject} rdfs:label ${literal(text)} .`),
    ...graph.edges.map((edge) => `${iri('entity', label.get(edge.source))} ${iri('relation', edge.label)} ${iri('entity', label.get(edge.target))} .`),
  ];
  return `${lines.join('\n')}\n`;
}
