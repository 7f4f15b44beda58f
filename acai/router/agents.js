/** The six agents by id. */

import { agent as bahith } from '../agents/bahith.js';
import { agent as bani } from '../agents/bani.js';
import { agent as hakeem } from '../agents/hakeem.js';
import { agent as lughawi } from '../agents/lughawi.js';
import { agent as muraqib } from '../agents/muraqib.js';
import { agent as musheer } from '../agents/musheer.js';

/** @typedef {typeof bahith} Agent */

/** @type {ReadonlyMap<string, Agent>} in the order in which they are shown */
export const agents = new Map([bahith, musheer, lughawi, hakeem, muraqib, bani].map((agent) => [agent.id, agent]));
