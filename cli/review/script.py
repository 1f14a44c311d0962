"""The page's script: shows one card at a time, and sends a verdict at one key."""

SCRIPT = r"""
"use strict";
const WORDS = {r: "relevant", n: "not relevant", u: "unsure"};
const at = id => document.getElementById(id);
const cards = new Map();
let state = {verdicts: [], undoable: false}, place = 0, busy = false, over = false;

async function ask(path, body) {
  const post = {method: "POST", headers: {"Content-Type": "application/json"}};
  const options = body === undefined ? {} : {...post, body: JSON.stringify(body)};
  let reply, value;
  try {
    reply = await fetch(path, options);
    value = await reply.json();
  } catch {
    throw new Error("strop review no longer answers; start it again, and it goes on here");
  }
  if (!reply.ok) throw new Error(value.error);
  return value;
}
async function attempt(work) {
  if (busy || over) return;
  busy = true;
  say("");
  try { await work(); } catch (error) { say(error.message, true); } finally { busy = false; }
}
function say(text, wrong = false) {
  at("message").textContent = text;
  at("message").hidden = !text;
  at("message").classList.toggle("wrong", wrong);
}

async function load(number) {
  if (!cards.has(number)) cards.set(number, await ask("cards/" + number));
  return cards.get(number);
}
async function show(number) {
  const card = await load(number);
  place = number;
  progress();
  at("place").textContent = `suspect ${number + 1} of ${state.verdicts.length}`;
  at("query").textContent = card.query;
  const words = wordsOf(card.query);
  at("positives").replaceChildren(...card.positives.map(found => passage(found, words)));
  at("positives-title").textContent =
    card.positives.length > 1 ? `${card.positives.length} known positives` : "Known positive";
  at("suspect").replaceChildren(passage(card.suspect, words));
  facts(card);
  window.scrollTo(0, 0);
  if (number + 1 < state.verdicts.length) load(number + 1).catch(() => {});
}
function wordsOf(text) {
  return new Set((text.toLowerCase().match(/[\p{L}\p{N}]+/gu) || []).filter(w => w.length > 2));
}
function passage(found, words) {
  const box = document.createElement("article");
  if (found.title) {
    const title = box.appendChild(document.createElement("h3"));
    title.append(...marked(found.title, words));
  }
  const text = box.appendChild(document.createElement("p"));
  text.append(...marked(found.text, words));
  const id = box.appendChild(document.createElement("small"));
  id.textContent = found.passage_id;
  return box;
}
function marked(text, words) {  // nodes of plain text: markup in a passage stays text
  return text.split(/([\p{L}\p{N}]+)/u).map(part => {
    if (!words.has(part.toLowerCase())) return part;
    const mark = document.createElement("mark");
    mark.textContent = part;
    return mark;
  });
}
function facts(card) {
  const number = value => value === null ? "not scored" : value.toFixed(2);
  const rows = [
    ["suspect's score", number(card.score)],
    ["positives' score", number(card.positive_score)],
    ["first stage's score", number(card.first_stage_score)],
    ["rule", card.rule],
  ];
  at("facts").replaceChildren(...rows.map(([name, value]) => {
    const row = document.createElement("div");
    row.appendChild(document.createElement("dt")).textContent = name;
    row.appendChild(document.createElement("dd")).textContent = value;
    return row;
  }));
}
function progress() {
  const total = state.verdicts.length, done = state.verdicts.filter(Boolean).length;
  at("bar").max = total;
  at("bar").value = done;
  const counts = Object.values(WORDS).map(
    word => `${state.verdicts.filter(said => said === word).length} ${word}`);
  at("progress").textContent = `${done} of ${total} judged`;
  at("counts").textContent = counts.join(" · ");
  for (const [key, word] of Object.entries(WORDS))
    at("key-" + key).setAttribute("aria-pressed", String(state.verdicts[place] === word));
  at("undo").disabled = !state.undoable;
  at("finish").disabled = done === 0;
  at("finish").classList.toggle("ready", done === total);
}
function nextOpen(from) {
  const count = state.verdicts.length;
  for (let step = 0; step < count; step++) {
    const number = (from + step) % count;
    if (!state.verdicts[number]) return number;
  }
  return null;
}
const judge = word => attempt(async () => {
  const card = await load(place);
  state = await ask("verdict", {
    query_id: card.query_id, passage_id: card.suspect.passage_id, verdict: word});
  const next = nextOpen(place + 1);
  await show(next === null ? place : next);
  if (next === null) say("All suspects have a verdict. Finish, or go back and look again.");
});
const undo = () => attempt(async () => {
  state = await ask("undo", {});
  await show(state.undone === null ? place : state.undone);
});
const move = step => attempt(async () => {
  const number = place + step;
  if (number >= 0 && number < state.verdicts.length) await show(number);
});
const finish = () => attempt(async () => {
  const open = state.verdicts.filter(said => !said).length;
  const left = open === 1 ? "1 suspect has" : `${open} suspects have`;
  if (open && !confirm(`${left} no verdict. Finish all the same?`)) return;
  const made = await ask("finish", {});
  over = true;
  at("review").hidden = at("keys").hidden = at("place").hidden = true;
  at("end").hidden = false;
  at("verdicts").textContent = made.verdicts;
  at("sentence").textContent = made.sentence;
});
for (const [key, word] of Object.entries(WORDS)) at("key-" + key).onclick = () => judge(word);
at("undo").onclick = undo;
at("finish").onclick = finish;
at("back").onclick = () => move(-1);
at("forward").onclick = () => move(1);
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const key = event.key.toLowerCase();
  if (key in WORDS) judge(WORDS[key]);
  else if (key === "z" || key === "backspace") { event.preventDefault(); undo(); }
  else if (key === "arrowleft") move(-1);
  else if (key === "arrowright") move(1);
});
attempt(async () => {
  state = await ask("state");
  const next = nextOpen(0);
  await show(next === null ? 0 : next);
  if (next === null) say("All suspects have a verdict. Finish, or go back and look again.");
});
"""
