"use strict";
(() => {
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);

  // ---- theme

  // Where a browser keeps nothing (a private window, a file that may not store) a choice lasts as long as the page.
  function remembered() {
    try { return localStorage.getItem("theme"); } catch { return null; }
  }
  function remember(theme) {
    try { localStorage.setItem("theme", theme); } catch { /* as long as the page */ }
  }
  if (["light", "dark"].includes(remembered())) root.dataset.theme = remembered(); // before anything is drawn

  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);

  function nameTheme() {
    byId("theme").title = byId("theme").ariaLabel = `${dark() ? "Light" : "Dark"} theme`;
  }

  function switchTheme() {
    root.dataset.theme = dark() ? "light" : "dark";
    remember(root.dataset.theme);
    nameTheme();
  }

  // ---- filters and search

  const controls = ["search", "category", "outcome", "measure"];
  const texts = new Map();
  let prompts = [];

  function textOf(prompt) {
    if (!texts.has(prompt)) texts.set(prompt, prompt.textContent.toLowerCase());
    return texts.get(prompt);
  }

  function matches(prompt, words, category, outcome, measure) {
    return (!category || prompt.dataset.category === category)
      && (!outcome || prompt.dataset.outcomes.split(" ")[measure] === outcome)
      && words.every((word) => textOf(prompt).includes(word));
  }

  function filter() {
    const [query, category, outcome, measure] = controls.map((id) => byId(id).value);
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    let hits = 0;
    for (const prompt of prompts) {
      const shown = matches(prompt, words, category, outcome, Number(measure));
      prompt.hidden = !shown;
      hits += shown;
    }
    const all = `${prompts.length} prompt${prompts.length === 1 ? "" : "s"}`;
    byId("hits").textContent = hits === prompts.length ? all : `${hits} of ${all}`;
    byId("none").hidden = hits > 0;
    byId("clear").hidden = !query && !category && !outcome;
  }

  function clear() {
    byId("filters").reset();
    filter();
  }

  function openAll() {
    const open = byId("all").getAttribute("aria-pressed") !== "true";
    for (const prompt of prompts) prompt.firstElementChild.open = open;
    byId("all").setAttribute("aria-pressed", String(open));
  }

  // ---- moving about

  let current = null;

  function goTo(prompt) {
    current = prompt;
    prompt.querySelector("summary").focus({ preventScroll: true });
    prompt.scrollIntoView({ block: "start" });
  }

  function move(step) {
    const shown = prompts.filter((prompt) => !prompt.hidden);
    const at = shown.indexOf(document.activeElement.closest(".prompt") ?? current);
    const next = at < 0 ? 0 : Math.min(shown.length - 1, Math.max(0, at + step));
    if (shown.length) goTo(shown[next]);
  }

  function openTarget() {
    const prompt = /^#prompt-\d+$/.test(location.hash) && byId(location.hash.slice(1));
    if (!prompt) return;
    if (prompt.hidden) clear();
    prompt.firstElementChild.open = true;
    goTo(prompt);
  }

  function leaveSearch() {
    byId("search").value = "";
    filter();
    byId("search").blur();
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
    const onPrompt = event.target.matches(".prompt > details > summary");
    const actions = {
      j: () => move(1),
      k: () => move(-1),
      ...(onPrompt && { ArrowDown: () => move(1), ArrowUp: () => move(-1) }),
      "/": () => byId("search")?.focus(),
      "?": () => byId("help").showModal(),
      t: switchTheme,
    };
    const typing = event.target.matches("input, select");
    const action = typing ? event.target.id === "search" && event.key === "Escape" && leaveSearch : actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  function start() {
    nameTheme();
    system.addEventListener("change", nameTheme);
    byId("theme").hidden = byId("keys").hidden = false;
    byId("theme").addEventListener("click", switchTheme);
    byId("keys").addEventListener("click", () => byId("help").showModal());
    document.addEventListener("keydown", onKey);
    if (byId("filters")) startPrompts();
  }

  function startPrompts() {
    prompts = [...document.querySelectorAll(".prompt")];
    byId("filters").hidden = false;
    byId("filters").addEventListener("submit", (event) => event.preventDefault());
    for (const id of controls) byId(id).addEventListener("input", filter);
    byId("clear").addEventListener("click", clear);
    byId("all").addEventListener("click", openAll);
    addEventListener("hashchange", openTarget);
    filter(); // a browser that comes back to the page fills the fields in again
    openTarget();
  }

  document.addEventListener("DOMContentLoaded", start);
})();
