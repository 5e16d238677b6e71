// What is chosen, and who redraws when it changes.

const SYSTEMS = DATA.systems;
const METRICS = DATA.metrics;
const ITEMS = DATA.items;
const REFERENCE = SYSTEMS.findIndex((system) => system.reference);

const state = {
  metric: 0,
  order: { by: "name", system: null },
  filter: "",
  item: null, // index in ITEMS
  visible: [], // indices in ITEMS, filtered and in order
};

const listeners = { metric: [], order: [], item: [] };

function on(topics, listener) {
  for (const topic of topics.split(" ")) listeners[topic].push(listener);
}

function changed(topic) {
  for (const listener of listeners[topic]) listener();
}

// The chosen metric; without any score there is none.
function metricNow() {
  return METRICS[state.metric] ?? { label: "", unit: "", digits: 0, better: "higher", description: "" };
}

function score(item, system, metric = state.metric) {
  return ITEMS[item].scores[metric]?.[system] ?? null;
}

// The systems that have values of a metric.
function scoredSystems(metric = state.metric) {
  return SYSTEMS.map((_, index) => index).filter((system) => DATA.summary[metric]?.[system]);
}

function chooseMetric(metric) {
  state.metric = metric;
  const systems = scoredSystems();
  if (state.order.system !== null && !systems.includes(state.order.system)) {
    state.order = { ...state.order, system: systems[0] ?? null };
  }
  changed("metric");
  arrange();
}

// The difference between the best and the worst system, in the units of the metric.
function spread(item) {
  const values = SYSTEMS.map((_, system) => score(item, system)).filter((value) => value !== null);
  return values.length > 1 ? Math.max(...values) - Math.min(...values) : null;
}

const byName = new Intl.Collator(undefined, { numeric: true }).compare;

// Filter and sort; items without a value come last.
function arrange() {
  const { by, system } = state.order;
  const metric = metricNow();
  const words = state.filter.toLowerCase().split(/\s+/).filter(Boolean);
  const key = (item) => {
    if (by === "name") return 0;
    const value = by === "spread" ? spread(item) : score(item, system);
    if (value === null) return Infinity;
    if (by === "spread") return -value;
    return by === "worst" ? goodness(metric, value) : -goodness(metric, value);
  };
  const keys = ITEMS.map((_, item) => key(item));
  state.visible = ITEMS.map((_, item) => item)
    .filter((item) => words.every((word) => ITEMS[item].name.toLowerCase().includes(word)))
    .sort((a, b) => keys[a] - keys[b] || byName(ITEMS[a].name, ITEMS[b].name) || a - b);
  changed("order");
}

function chooseItem(item) {
  state.item = item;
  changed("item");
}

// Go to the item before or after in the table's order.
function step(distance) {
  const place = state.visible.indexOf(state.item);
  const next = place < 0 ? 0 : place + distance;
  if (next in state.visible) chooseItem(state.visible[next]);
}
