/**
 * Words of a question that say little about its answer: they ask, point or join. They count less in a query, never
 * nothing, for some documents are about just these words.
 */

import { normalise } from './normalise.js';

/** The weight of a word that asks, points or joins (any other has 1); chosen on the development questions of data/retrieval. */
export const LIGHT = 0.25;

const set = (text) => new Set(text.trim().split(/\s+/).map((word) => normalise(word)));

const FUNCTION_WORDS = set(`
  ما ماذا من هل كيف كم متى أين أي أية لماذا لم لمن بم بماذا مم عم علام إلام أيان أنى
  في على إلى عن مع عند عندي إذا إن أن لو أو أم ثم و ف ب ل ك لا لن قد كل بعض غير لكن حتى
  هذا هذه هذان ذلك تلك هؤلاء الذي التي الذين اللذان هو هي هم أنا نحن أنت أنتم
  كان كانت يكون تكون أكون له لها لهم لي لك فيه فيها منه منها عليه عليها به بها
  يجب يمكن ينبغي
  شنهو شنو شنهي ش شلون وين وينه ليش منو منهو منهي چم جم بچم شكثر
  اللي هذي هذيل هاي آنا احنا إنت إنتي إنتو اهو اهي اهم ويا مال حق مو مب بس عقب إي أبي أبغي نبغي تبغي يبغي
  the a an of in on at to for and or is are was be do does did what which who whom how when where why can may must
  i you he she it we they my your his her our their this that these those with by from if not no`);

/** @param {string} word normalised @returns {number} its weight in a query */
export const weight = (word) => (FUNCTION_WORDS.has(word) ? LIGHT : 1);
