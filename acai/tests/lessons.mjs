// Reads the pocket model's lessons as JSON, and tells what the agents make of them: their prompt, and the parsed answer.
import { readFileSync } from 'node:fs';
import { agents } from '../router/agents.js';
import { features, names } from '../router/features.js';
import { probabilities, route } from '../router/intent.js';
import { settle } from '../agents/verdict.js';

const { lessons = [], prompts = [] } = JSON.parse(readFileSync(0, 'utf8'));
const { default: model } = await import('../router/intents.json', { with: { type: 'json' } });

const told = lessons.map(({ agent: id, language, query, sources: texts = [], task, answer }) => {
  const agent = agents.get(id);
  const sources = texts.map((text, at) => ({ n: at + 1, text, passage: { text }, quote: { start: 0, end: text.length } }));
  const parsed = agent.parse(answer, { sources, task, query });
  const settled = id === 'muraqib' ? settle(query, parsed, sources).verdict : null;
  return { prompt: agent.prompt({ query, sources, language, task }).at(-1).content, parsed, settled };
});
const routed = prompts.map((text) => ({
  names: [...names(text, model.cues)].sort(), features: [...features(text, model)], probabilities: probabilities(text), agent: route(text).agent,
}));
process.stdout.write(JSON.stringify({ lessons: told, prompts: routed }));
