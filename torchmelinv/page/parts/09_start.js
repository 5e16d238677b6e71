// Keys, and the first view: the worst items of the first system.

function typing(target) {
  return target.matches("textarea, select, input:not([type=range], [type=radio], [type=checkbox])");
}

// Whether an element uses this key itself.
function usesKey(target, key) {
  if (key === " ") return target.matches("button, summary, input:not([type=radio], [type=range])");
  if (key.startsWith("Arrow")) return target.matches("input[type=range], input[type=radio]");
  return false;
}

const ITEM_KEYS = {
  " ": () => player.toggle(),
  ArrowLeft: () => player.seek(player.position - 1),
  ArrowRight: () => player.seek(player.position + 1),
  j: () => step(1),
  k: () => step(-1),
  l: () => byId("loop").click(),
  "/": () => byId("filter").focus(),
};

const BLIND_KEYS = {
  " ": () => blindPlayer.toggle(),
  1: () => listenTo(0),
  2: () => listenTo(1),
  3: () => listenTo(2),
  ArrowLeft: () => answer(0),
  ArrowDown: () => answer(NO_DIFFERENCE),
  ArrowRight: () => answer(1),
};

function pressed(event) {
  const { key, target } = event;
  if (!byId("shortcuts").checked || event.ctrlKey || event.metaKey || event.altKey) return;
  if (typing(target) || usesKey(target, key)) return;
  let action = null;
  if (byId("blind").open) action = byId("blind-trial").hidden ? null : BLIND_KEYS[key];
  else if (/^[1-9]$/.test(key)) action = () => player.select(Number(key) - 1);
  else action = ITEM_KEYS[key.length === 1 ? key.toLowerCase() : key];
  if (!action) return;
  event.preventDefault();
  action();
}

function chooseFromTable(item, system) {
  if (item !== state.item) chooseItem(item);
  if (system !== null) player.select(system);
  // On a narrow screen the player is below the table.
  const [list, listen] = [byId("items").closest(".list"), byId("listen")];
  if (listen.getBoundingClientRect().top >= list.getBoundingClientRect().bottom) {
    byId("item-name").focus({ preventScroll: true });
    listen.scrollIntoView();
  }
}

byId("about").textContent = DATA.about;
startTable(chooseFromTable);
startItem();
startSummary();
startBlindTest();
const first = scoredSystems(0)[0] ?? null;
if (first !== null) state.order = { by: "worst", system: first };
chooseMetric(0);
if (state.visible.length) chooseItem(state.visible[0]);
document.addEventListener("keydown", pressed);
